"""Networks, rebuilt from the spec of a checkpoint."""
