"""Rows: generators, CSV files, preprocessing and splits."""
