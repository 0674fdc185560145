"""Pictures to face boxes and landmarks: one file per detector."""
