"""Checks: readings in, flags out."""
