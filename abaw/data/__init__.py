"""Data for training: images, views, sampling, clips of features."""
