"""Migrations of the casebook, run when it is opened."""
