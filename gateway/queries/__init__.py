"""What can be asked, each question within a scope; see README.md.

Every question takes a `seen.Seen`, which cannot be made without a scope: there is no way to ask
without one.
"""
