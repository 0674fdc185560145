"""`abaw bench`: compare semi-supervised methods."""
