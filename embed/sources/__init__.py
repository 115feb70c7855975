"""What may stand behind --data: one file a kind of source, one line each in the catalogue."""
