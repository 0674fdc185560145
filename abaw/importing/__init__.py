"""Stills, tables and official crop folders to faces stores, and crops back out."""
