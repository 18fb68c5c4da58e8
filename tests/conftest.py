"""Fixtures shared by all tests: real brokers and databases on free ports."""

pytest_plugins = ["tests.brokers", "tests.databases"]
