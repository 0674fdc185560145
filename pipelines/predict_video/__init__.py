"""`abaw predict-video`: videos -> tables and pages."""
