"""Pure functions over a time axis: windows and filters."""
