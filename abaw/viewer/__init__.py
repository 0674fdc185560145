"""What became of one video, to look at and to reckon with: a page, a table, a summary, a picture of it all."""
