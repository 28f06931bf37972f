"""What a picture is worth by itself, without a reference."""
