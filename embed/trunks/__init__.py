"""From a name to a frozen module: one file a library, one line each in the table of libraries."""
