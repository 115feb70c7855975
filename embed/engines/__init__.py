"""Who hands row ranges to whatever computes them: one file an engine, one line each in the table of engines."""
