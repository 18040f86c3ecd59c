"""The dashboard in the admin: what the cache does, from what all processes have counted.

`pages` has its views, `panels` what they show, `actions` what can be done from them.
"""
