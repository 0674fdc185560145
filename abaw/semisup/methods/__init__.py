"""The methods, one a file, named as their file is. Each file has a `METHOD`: the class, its settings beside it."""
