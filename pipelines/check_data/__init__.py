"""`abaw check-data`: whether the downloaded parts match."""
