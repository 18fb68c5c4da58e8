"""Tests of the stores and sinks."""
