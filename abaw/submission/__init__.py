"""Writing and checking submission files."""
