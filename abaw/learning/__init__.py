"""What every training method is made of: its views, its step, the average of its weights."""
