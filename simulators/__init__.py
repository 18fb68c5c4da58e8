"""Simulated instruments with known truth, for field staff and tests.

The way of one message: an *instrument* makes coherent readings, a *fault* may spoil them and
writes down what it did, a *line* delivers them late or twice as real networks do, and the *fleet*
merges all lines in time order; then *capture* writes them or *publish* sends them.
Nothing here imports ``gateway``: encoders written apart can't hide a decoder's bug.
"""
