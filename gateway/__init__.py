"""Ingestion gateway for civil-use (legal-metrology) instruments: evidence first, then readings."""

__version__ = "0.1.0"
