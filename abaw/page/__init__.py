"""Shared by all HTML pages of the project: colours, styles, the document around the parts."""
