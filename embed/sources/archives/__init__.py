"""Data sets whose images lie many in a file: in tar shards, zip or Parquet files, here or behind a URL."""
