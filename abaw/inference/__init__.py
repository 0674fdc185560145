"""From faces to features, and from features to probabilities."""
