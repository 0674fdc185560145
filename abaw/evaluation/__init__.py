"""Metrics and the validation report."""
