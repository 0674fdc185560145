"""Video affect competition pipeline: from videos of faces to per-frame expressions in the ABAW formats."""

__version__ = "0.1.0"
