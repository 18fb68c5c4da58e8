"""Reports on paper: the evidence of one flag, and a district's week or month; see README.md."""
