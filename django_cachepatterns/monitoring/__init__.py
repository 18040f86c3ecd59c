"""What is told to a project's own monitoring, whichever that is: see `contrib`."""
