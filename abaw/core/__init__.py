"""What every part shares: errors, artifacts on disk, configuration, randomness, progress."""
