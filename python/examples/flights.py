"""A year of real flights (all that left New York in 2013) as a Dask dataframe, timed and cached.

    python python/examples/flights.py [DIRECTORY]

The same tables as those of the Rust example `flights`, from the same files. Two callbacks are at
work: one adds up how long the tasks run, the other keeps in an actor what took long, so that the
second pass is answered by the actor.

Prints, with other times::

    carrier  flights   mean arrival delay   mean departure delay
    ...
    EV         54173           15.796 min             19.955 min
    ...
    HA           342           -6.915 min              4.901 min
    ...
    UA         58665            3.558 min             12.106 min
    ...
    worst route: EWR-CAE, 104 flights, 44.585 min late on average

    arrival delay in minutes
    below -30     20084 ##########
    -30 .. -15    70416 ###################################
    ...
    from 480 on      65

    first pass: the slowest tasks, by key prefix
    ...
    second pass: 12 tasks were answered by the cache actor, 433.4 ms saved
    ...
    flights=336776
    carriers=16
    worst_route=EWR-CAE
    first_pass_ms=634.0
    second_pass_ms=200.6
    plain_ms=560.8
    cache_hits=12

The directory, by default that of the repository, holds months as `2013-01.csv.gz`.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from math import inf
from pathlib import Path
from threading import Lock
from time import perf_counter

import dask
import pandas as pd
from dask import dataframe as dd
from dask.utils import key_split

import mobula
from mobula.dask import Callback

OWN_DATA = Path(__file__).parents[2] / "examples" / "data"

# Delays from a bound on and below the next one belong together, in minutes.
BOUNDS = [-inf, -30, -15, 0, 15, 30, 60, 120, 240, 480, inf]

# The mean of a route with fewer flights tells nothing.
ENOUGH_FLIGHTS = 100

# What was made in less time, in seconds, is not worth keeping.
THRESHOLD = 0.002


@mobula.remote
class SimpleCacheActor:
    """Keeps results of tasks by their keys, and counts what it could answer."""

    def __init__(self):
        self.cache = {}
        self.hits = 0

    def get(self, key):
        """Raises `KeyError` if the key is not there."""
        value = self.cache[key]
        self.hits += 1
        return value

    def put(self, key, value):
        """Keeps a value."""
        self.cache[key] = value

    def count_hits(self):
        """How many times `get` had an answer."""
        return self.hits


class SimpleCacheCallback(Callback):
    """Answers for tasks that the actor knows, and has it keep the months that took long to read.

    A key of a dataframe says all that its value depends on, down to the time at which a file was
    changed, so it may stand for the value in a later run, too.
    """

    def __init__(self, actor):
        super().__init__()
        self.actor = actor

    def _presubmit(self, task, key, deps):
        try:
            return mobula.get(self.actor.get.remote(str(key)))
        except KeyError:
            return None

    def _task_start(self, key, object_refs):
        return perf_counter()

    def _task_end(self, key, result, pre_state):
        # Dask of before 2025 wrote it with an underscore.
        is_month = key_split(key) in ("read-csv", "read_csv")
        if is_month and perf_counter() - pre_state > THRESHOLD:
            self.actor.put.remote(str(key), result)


class TimerCallback(Callback):
    """Adds up how long tasks run, by the prefix of their keys."""

    def __init__(self):
        super().__init__()
        self.lock = Lock()
        self.seconds = Counter()
        self.tasks = Counter()

    def _task_start(self, key, object_refs):
        return perf_counter()

    def _task_end(self, key, result, pre_state):
        seconds = perf_counter() - pre_state
        with self.lock:
            self.seconds[key_split(key)] += seconds
            self.tasks[key_split(key)] += 1

    def print_slowest(self):
        """The three prefixes whose tasks took longest."""
        for prefix, seconds in self.seconds.most_common(3):
            print(f"    {prefix:<24} {self.tasks[prefix]:>3} tasks {1e3 * seconds:>8.1f} ms")


@dataclass
class Report:
    """What the job is run for: flights and mean delays by carrier and by route, and a histogram."""

    carriers: pd.DataFrame
    routes: pd.DataFrame
    arrivals: pd.Series

    def __post_init__(self):
        self.carriers = self.carriers.sort_index()
        self.routes = self.routes.sort_index()

    @property
    def worst_route(self):
        """Of the routes that are flown often, the one with the greatest mean arrival delay."""
        often = self.routes[self.routes["flights"] >= ENOUGH_FLIGHTS]
        return often.loc[often["arr_delay"].idxmax()]

    def show(self):
        """Prints all of it."""
        print("carrier  flights   mean arrival delay   mean departure delay")
        for carrier in self.carriers.itertuples():
            print(
                f"{carrier.Index:<7} {carrier.flights:>8} {carrier.arr_delay:>16.3f} min"
                f" {carrier.dep_delay:>18.3f} min"
            )
        worst = self.worst_route
        name, flights, delay = "-".join(worst.name), worst["flights"], worst["arr_delay"]
        print(f"\nworst route: {name}, {flights:.0f} flights, {delay:.3f} min late on average")
        print("\narrival delay in minutes")
        for delays, flights in self.arrivals.items():
            bar = "#" * (flights * 50 // self.arrivals.max())
            print(f"{range_of(delays):<12}{flights:>7} {bar}".rstrip())


def range_of(delays):
    """Which delays are counted here."""
    if delays.left == -inf:
        return f"below {delays.right:.0f}"
    if delays.right == inf:
        return f"from {delays.left:.0f} on"
    return f"{delays.left:.0f} .. {delays.right:.0f}"


def ranges(delays):
    """The range of each delay, of those that are known."""
    return pd.cut(delays, BOUNDS, right=False)


def read(paths):
    """All flights, a partition a month; delays of a flight that was cancelled are missing."""
    delays = dict.fromkeys(["dep_delay", "arr_delay", "air_time"], "float64")
    months = dd.read_csv(paths, compression="gzip", blocksize=None, dtype=delays)
    return months.assign(flights=1)


def tables(flights):
    """The three tables, of a Dask dataframe or of a pandas one."""
    carriers = {"flights": "sum", "arr_delay": "mean", "dep_delay": "mean"}
    routes = {"flights": "sum", "arr_delay": "mean"}
    delays = flights["arr_delay"]
    is_dask = isinstance(flights, dd.DataFrame)
    arrivals = delays.map_partitions(ranges) if is_dask else ranges(delays)
    return (
        flights.groupby("carrier").agg(carriers),
        flights.groupby(["origin", "dest"]).agg(routes),
        arrivals.value_counts(sort=False),
    )


def plain(paths):
    """The same with pandas alone, all months in one frame."""
    months = (pd.read_csv(path) for path in paths)
    return Report(*tables(pd.concat(months, ignore_index=True).assign(flights=1)))


def milliseconds_of(job):
    """What a job answers, and how long it took."""
    start = perf_counter()
    answer = job()
    return answer, 1e3 * (perf_counter() - start)


def check_2013(report):
    """What is known of these data from elsewhere."""
    assert report.carriers["flights"].sum() == 336_776
    known = [
        ("UA", 58_665, "3.558", "12.106"),
        ("EV", 54_173, "15.796", "19.955"),
        ("HA", 342, "-6.915", "4.901"),
    ]
    for code, flights, arrival, departure in known:
        carrier = report.carriers.loc[code]
        assert carrier["flights"] == flights
        assert f"{carrier['arr_delay']:.3f}" == arrival
        assert f"{carrier['dep_delay']:.3f}" == departure


def main():
    """Two passes through Mobula and a plain one, which must all say the same."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else OWN_DATA
    paths = sorted(str(path) for path in directory.glob("*.csv.gz"))
    if not paths:
        sys.exit(f"{directory} has no *.csv.gz")
    flights = read(paths)

    def run():
        return Report(*dask.compute(*tables(flights), scheduler="mobula"))

    actor = SimpleCacheActor.remote()
    with SimpleCacheCallback(actor):
        with TimerCallback() as timer:
            first, first_ms = milliseconds_of(run)
        first.show()
        print("\nfirst pass: the slowest tasks, by key prefix")
        timer.print_slowest()

        with TimerCallback() as timer:
            second, second_ms = milliseconds_of(run)
    hits = mobula.get(actor.count_hits.remote())
    saved = first_ms - second_ms
    print(f"\nsecond pass: {hits} tasks were answered by the cache actor, {saved:.1f} ms saved")
    timer.print_slowest()

    expected, plain_ms = milliseconds_of(lambda: plain(paths))
    for report in (first, second):
        pd.testing.assert_frame_equal(report.carriers, expected.carriers, check_index_type=False)
        pd.testing.assert_frame_equal(report.routes, expected.routes, check_index_type=False)
        pd.testing.assert_series_equal(report.arrivals, expected.arrivals, check_index_type=False)
    if directory == OWN_DATA:
        check_2013(first)
        assert hits == len(paths), "reading a month takes longer than the threshold"

    print(f"\nflights={first.carriers['flights'].sum()}")
    print(f"carriers={len(first.carriers)}")
    print(f"worst_route={'-'.join(first.worst_route.name)}")
    print(f"first_pass_ms={first_ms:.1f}")
    print(f"second_pass_ms={second_ms:.1f}")
    print(f"plain_ms={plain_ms:.1f}")
    print(f"cache_hits={hits}")


if __name__ == "__main__":
    main()
