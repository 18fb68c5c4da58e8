"""Tests of profiles: what is refused, and how it is said."""
