"""What belongs to ``processes.py`` alone. Worker processes load parts of it: this file is empty."""
