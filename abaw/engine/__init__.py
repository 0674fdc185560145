"""Where work runs: local worker processes behind one interface."""
