"""The HTTP API, in a process of its own beside intake and processing; see README.md."""
