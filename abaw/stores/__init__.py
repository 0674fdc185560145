"""The on-disk formats, one a module: read and write together."""
