"""`abaw bench`: semi-supervised methods against each other."""
