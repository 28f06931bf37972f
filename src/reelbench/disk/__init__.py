"""What lies on the disk, who needs it, and what can go: inventory, references, prune and undo."""
