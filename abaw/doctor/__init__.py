"""Checks of the installation: packages, devices, wheels, and whether they work."""
