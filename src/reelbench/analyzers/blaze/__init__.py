"""What the Blaze networks of faces and people share: square crops of a frame, anchors, decoding, suppression."""
