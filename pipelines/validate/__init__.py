"""`abaw validate`: predictions and annotations to a report."""
