"""Journals as a cluster writes them: the same ones each time, for tests of reports.

`python journals.py 1000000 journal.jsonl` writes one of that many tasks.
"""

import json
import sys

PREFIXES = ["read-csv", "astype", "getitem", "sum-chunk", "sum-agg", "to-parquet"]
TOKEN = "7a6cb53f1e0d4c28a3c95b7d2f416e08"
TRACEBACK = """Traceback (most recent call last):
  File "/home/ada/flights.py", line 41, in parse
    return int(row["delay"])
           ^^^^^^^^^^^^^^^^^
ValueError: invalid literal for int() with base 10: 'n/a'"""


class Numbers:
    """Numbers that look random, the same ones in every version of Python."""

    def __init__(self, seed=1):
        self.state = seed

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % limit


class Journal:
    """A journal that grows record by record. Times are nanoseconds."""

    def __init__(self, workers=8, pids=True):
        self.records = []
        self.workers = workers
        self.now = [1_000_000 * worker for worker in range(workers)]
        self.add("journal", version=1, mobula="0.1.0", at=0.0, unix_time=1767225600.0, pid=4711)
        for worker in range(workers):
            pid = {"pid": 4712 + worker} if pids else {}
            self.add("worker_up", at=0.0, worker=worker, **pid)

    def add(self, kind, **members):
        self.records.append({"t": kind, **members})

    def run(self, run, keys, prefixes, needs, piece=10_000):
        """A run begins; its tasks are told in pieces."""
        self.add("run", at=min(self.now) / 1e9, run=run, tasks=len(keys))
        names = list(dict.fromkeys(prefixes))
        place = {name: number for number, name in enumerate(names)}
        for first in range(0, len(keys), piece):
            part = slice(first, first + piece)
            self.add(
                "keys",
                run=run,
                first=first,
                keys=keys[part],
                prefixes=[place[name] for name in prefixes[part]],
                new_prefixes=names if first == 0 else [],
                needs=needs[part],
            )

    def end(self, run, task, worker, took, size=0, failed=False):
        """A worker was in a task."""
        start = self.now[worker]
        self.now[worker] = start + took
        members = {"failed": True} if failed else {}
        self.add(
            "ended",
            run=run,
            worker=worker,
            **{"from": start},
            to=start + took,
            tasks=[task],
            bytes=[size],
            **members,
        )

    def seconds(self):
        return max(self.now) / 1e9

    def memory(self, values, spilled=0, resident=0):
        self.add(
            "memory",
            at=self.seconds(),
            limit=2 << 30,
            values=values // 4_000_000,
            bytes=values,
            spilled_values=spilled // 4_000_000,
            spilled_bytes=spilled,
            disk_bytes=spilled // 2,
            resident=resident,
            resident_workers=resident // 2,
        )

    def finish(self, run, status="done", **members):
        self.add("run_ended", at=self.seconds(), run=run, status=status, **members)

    def lines(self):
        return "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in self.records)


def pipeline(tasks, workers=8, *, fail=False, seed=1, short=1):
    """Files are read, converted, summed up and written, of which each fifth sum joins its neighbours.

    With `fail`, the parsing of one file fails twice, and all that needs it is skipped.
    """
    numbers = Numbers(seed)
    journal = Journal(workers)
    keys, prefixes, needs = graph(tasks)
    journal.run(1, keys, prefixes, needs)
    bad = {}
    live, spilled, done, skipped = 0, 0, 0, 0
    broken = 5 * (len(keys) // 15) + 1 if fail else -1
    for task, prefix in enumerate(prefixes):
        worker = min(range(workers), key=journal.now.__getitem__)
        stage = PREFIXES.index(prefix)
        took = (2_000_000 + numbers.below(1 + 24_000_000 // (1 + stage))) // short
        journal.now[worker] += (20_000 + numbers.below(400_000)) // short
        if any(need in bad for need in needs[task]):
            bad[task] = True
            skipped += 1
            journal.add("skipped", at=journal.now[worker] / 1e9, run=1, task=task)
            continue
        if task == broken:
            bad[task] = True
            for attempt in (1, 2):
                journal.end(1, task, worker, took, failed=True)
                at = journal.now[worker] / 1e9
                error = "ValueError: invalid literal for int() with base 10: 'n/a'"
                journal.add("failed", at=at, run=1, task=task, error=error, details=TRACEBACK)
                if attempt == 1:
                    journal.add("retried", at=at, run=1, task=task, attempt=2)
                    journal.now[worker] += 3_000_000
            journal.add("given_up", at=at, run=1, task=task, attempts=2)
            continue
        size = (4_000_000, 4_200_000, 800_000, 64, 64, 0)[stage] + numbers.below(60_000)
        journal.end(1, task, worker, took, size)
        done += 1
        live = max(0, live + size - numbers.below(3_900_000))
        if live > 1 << 29 and numbers.below(8) == 0:
            live -= 40_000_000
            spilled += 40_000_000
            journal.add("spilled", at=journal.seconds(), run=1, key=keys[task], bytes=40_000_000)
        if spilled and numbers.below(40) == 0:
            spilled -= 40_000_000
            journal.add("restored", at=journal.seconds(), run=1, key=keys[task], bytes=40_000_000)
        if task % max(1, tasks // 400) == 0:
            journal.memory(live, spilled, live + 380_000_000 + numbers.below(9_000_000))
    hooks = [
        {"callback": "TimerCallback", "calls": 2 * done, "seconds": done * 1.2e-6 / short},
        {"callback": "MyProgress", "calls": done, "seconds": done * 31e-6 / short},
    ]
    error = {"error": f"task {keys[broken]!r} failed: {TRACEBACK.splitlines()[-1]}"} if fail else {}
    counts = {"done": done, "failed": int(fail), "skipped": skipped}
    journal.finish(1, "failed" if fail else "done", hooks=hooks, **counts, **error)
    return journal


def graph(tasks):
    """Chains of four, every five of which are joined by a fifth one, whose value is written."""
    keys, prefixes, needs = [], [], []

    def add(prefix, index, *inputs):
        keys.append(f"('{prefix}-{TOKEN}', {index})")
        prefixes.append(prefix)
        needs.append(list(inputs))
        return len(keys) - 1

    chain, sums = 0, []
    while len(keys) < tasks:
        last = None
        for prefix in PREFIXES[:4]:
            last = add(prefix, chain, *([] if last is None else [last]))
            if len(keys) == tasks:
                break
        sums.append(last)
        chain += 1
        if len(sums) == 5 and len(keys) < tasks - 1:
            total = add(PREFIXES[4], chain // 5, *sums)
            add(PREFIXES[5], chain // 5, total)
            sums = []
    return keys, prefixes, needs


if __name__ == "__main__":
    count, path = sys.argv[1:]
    with open(path, "w", encoding="utf-8") as file:
        file.write(pipeline(int(count), short=10).lines())
