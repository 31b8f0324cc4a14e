"""Detectors and their parts as their authors released them, for parity with published figures."""
