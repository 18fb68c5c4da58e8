"""Who may see and do what: people, roles, districts, sessions, tokens; see README.md."""
