"""The method `freematch`."""
