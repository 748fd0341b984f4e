"""Stored responses on disk, so that a restart begins with what there was: a SQLite file, and marks noted beside it."""
