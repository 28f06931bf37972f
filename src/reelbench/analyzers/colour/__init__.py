"""What is seen in colours: palettes and the words for them."""
