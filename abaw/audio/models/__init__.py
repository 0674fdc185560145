"""Models of sound: one file per kind, each with a function `model`."""
