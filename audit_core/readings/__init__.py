"""Signals that cost forward passes of their own: one module each, read where a detector asks for them."""
