"""Features to heads: fit along a path, choose on val, score on test once, show."""
