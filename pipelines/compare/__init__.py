"""Many training runs in parallel: what `ablate`, `bench` and `cross-validate` build on."""
