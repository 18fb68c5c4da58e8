"""Simulated instruments with known truth, for field staff and tests."""
