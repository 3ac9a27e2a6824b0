"""Moves frames between two ends; knows no keys and no files."""
