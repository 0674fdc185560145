"""The on-disk formats, one per module; each module both reads and writes its format."""
