"""Submission files: write and check."""
