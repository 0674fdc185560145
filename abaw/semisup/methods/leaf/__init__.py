"""The method `leaf`."""
