#!/usr/bin/env python3
"""What Mobula costs as Dask's scheduler, beside Dask's own schedulers and beside a plain loop.

    python python/benches/overhead.py [--rounds N] [--only WORD ...] [--wheel FILE] [--quick]

It prints a table of figures and one of the targets with their verdicts. A complete run takes some
minutes and writes both to `README.md` and `results.json` beside this file, where each figure is
explained too. A word of `--only` is a section (`tasks`, `work`, `memory`, `million`, `hooks`,
`startup`) or `section/shape`, such as `tasks/chain`; then nothing is written. The exit code is 1
if a target is missed.
"""

import sys

if __name__ == "__main__":
    from measuring.command import main
    from measuring.overhead.program import PROGRAM

    sys.exit(main(PROGRAM))
