"""The training loop, which knows no method by name."""
