"""The console: pages at ``/`` that ask the API and nothing else; see README.md."""
