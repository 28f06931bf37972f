"""People: detection by pose, masks, and following them from frame to frame."""
