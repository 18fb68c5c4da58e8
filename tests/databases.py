"""Real databases on free ports."""
