"""A site in simulated time: what `year.py` runs."""
