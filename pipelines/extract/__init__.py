"""`abaw extract`: videos to faces."""
