"""Data sets that lie behind a URL: in a bucket of an object store, or on a web server."""
