"""From a video file to aligned face crops, one row for every decoded frame."""
