"""Faces: detection, landmarks, irises, and following a face from frame to frame."""
