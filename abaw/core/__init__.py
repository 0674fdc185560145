"""Shared by all packages: errors, artifacts on disk, configuration, seeds, progress."""
