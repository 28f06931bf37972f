"""Plans before they run: timings that were measured, what a plan will take by them, and what a faster part would bring."""
