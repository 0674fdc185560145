"""`abaw ablate`: compare temporal models with many settings and seeds."""
