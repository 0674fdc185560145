"""The demo data set: faces rendered in code, written as video in the layout of Aff-Wild2."""
