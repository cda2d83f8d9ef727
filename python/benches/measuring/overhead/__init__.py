"""What belongs to ``overhead.py`` alone."""
