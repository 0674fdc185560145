"""`abaw predict-video`: videos in, pages to look at out."""
