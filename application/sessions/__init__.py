"""Sessions, and the tokens that stand for them."""
