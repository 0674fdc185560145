"""The method `fixmatch`."""
