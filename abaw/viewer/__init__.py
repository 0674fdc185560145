"""The results of one video, for people and programs: a page, a table, a summary, an annotated video."""
