"""The ledger: raw messages, append-only and hash-chained."""
