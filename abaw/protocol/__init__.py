"""The facts of the ABAW challenge: classes, annotation files, templates, folder layout, submission formats."""
