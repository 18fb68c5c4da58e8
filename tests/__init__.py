"""Tests; a package so that its fixtures have one import path."""
