"""`abaw demo`."""
