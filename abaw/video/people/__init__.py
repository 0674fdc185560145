"""Faces of successive frames to people: tracks, subjects, and the stores they become."""
