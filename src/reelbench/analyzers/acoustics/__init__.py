"""What is in a sound besides words."""
