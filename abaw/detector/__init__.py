"""How the built-in face detector is made: scenes, network, loss, score, export."""
