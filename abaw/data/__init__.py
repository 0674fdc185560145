"""Training data: images, views, sampling, clips of features."""
