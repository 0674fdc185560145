"""The demo data set: rendered faces, written as videos in the layout of Aff-Wild2."""
