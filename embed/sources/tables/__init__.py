"""Tables as people have them: a file into named columns, columns into what they mean, rows into images."""
