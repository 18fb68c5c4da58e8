"""Stores of readings and flags, and the sinks that follow them."""
