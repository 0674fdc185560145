"""From faces to features, from features to probabilities."""
