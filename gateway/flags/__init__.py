"""The life cycle of flags: people's decisions, suppressions, incidents.

Flags live in the store and are made by processing alone; what people decide about them lives in the
casebook, by the flag's deterministic id.  Here both come together, when somebody asks.
"""
