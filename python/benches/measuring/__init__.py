"""The parts of the benchmark program ``overhead.py``; see there for what it is for."""
