"""Video files to frames, exactly: one file per reader."""
