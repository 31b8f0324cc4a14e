"""The parts of benchmarks/detectors.py and benchmarks/paper.py."""
