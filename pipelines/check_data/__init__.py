"""`abaw check-data`: whether what was downloaded fits together."""
