"""Learning methods, one a module."""
