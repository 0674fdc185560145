"""Learning methods for the static model, and the parts they share."""
