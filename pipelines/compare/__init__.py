"""Training runs side by side: what `ablate`, `bench` and `cross-validate` build on."""
