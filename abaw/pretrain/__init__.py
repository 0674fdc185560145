"""Pre-training of a backbone on faces without labels."""
