"""Decoders: payload bytes to a document whose shape the profile gives."""
