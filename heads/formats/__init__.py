"""Cached features as files for other programs: one file a format, one line each in catalogue.py."""
