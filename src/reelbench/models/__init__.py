"""The catalog of weights and footage, and the store that holds them."""
