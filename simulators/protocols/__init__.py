"""Protocols that the simulated instruments speak: encoders written from the standards.

One module a protocol.  Each turns a reading in the reference JSON format into packets as a device
of that protocol sends them, and says what the protocol can't carry.
"""
