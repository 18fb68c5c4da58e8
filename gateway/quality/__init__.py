"""Data quality by the terms of GB/T 36344-2018, from counts over the store; see README.md."""
