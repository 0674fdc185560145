"""The Python API: the commands as functions, and their results as objects. `import abaw` shows it."""
