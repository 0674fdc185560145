"""The method `supervised`."""
