"""How the picture moves and changes from frame to frame."""
