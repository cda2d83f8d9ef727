"""``python -m mobula`` is the command ``mobula``."""

import sys

from mobula._command import main

if __name__ == "__main__":
    sys.exit(main())
