"""A video's sound: its track, decoded at exact times, and features of it, one row per video frame."""
