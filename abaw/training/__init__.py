"""The training loop, and how static and temporal models are trained with it."""
