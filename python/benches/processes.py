#!/usr/bin/env python3
"""What Mobula's worker processes do, beside Dask's processes, distributed and Ray.

    python python/benches/processes.py [--rounds N] [--only WORD ...] [--without SUBJECT ...] [--quick]

It prints a table of figures and one of the targets with their verdicts. A complete run takes most
of an hour with Ray and writes both to `PROCESSES.md` and `results-processes.json` beside this file,
where each figure is explained too. A word of `--only` is a section (`tasks`, `work`, `memory`,
`pool`, `blocks`) or `section/shape`, such as `tasks/chain`; then nothing is written. The exit code
is 1 if a target is missed.

`--without` leaves subjects out. So are peers that are not installed, with a line that says it;
`make bench-processes` runs the program where all of them are.
"""

import sys

# Processes that are spawned load this file again, under another name: it must cost them nothing.
if __name__ == "__main__":
    from measuring.command import main
    from measuring.processes.program import PROGRAM

    sys.exit(main(PROGRAM))
