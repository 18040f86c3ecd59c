"""The entry protocol's steps in every order, on the real store."""
