"""`abaw ablate`: temporal models of many settings and seeds."""
