"""What every training method has: views, a step, and averaged weights."""
