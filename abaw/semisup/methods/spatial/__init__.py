"""The method `spatial`."""
