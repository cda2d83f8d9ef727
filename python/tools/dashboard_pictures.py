"""Takes the pictures of the dashboard for `docs/`: a cluster at work, in light, in dark, on a phone.

Needs an environment with Mobula and Playwright, and a Chromium. Usage::

    target/python/newest/bin/python python/tools/dashboard_pictures.py docs
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dask
import numpy as np
from PIL import Image

import mobula
from mobula.dask import RayDaskCallback, ray_dask_get

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from browser import PHONE, browser, wait_until, watched

#: Of so many parts is the graph that is shown at work.
PARTS = 12
LOOKS = {
    # As high as the page, so that all of it is seen and thus kept up to date.
    "light": {"viewport": {"width": 1440, "height": 2640}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 2640}, "color_scheme": "dark"},
    "phone": {**PHONE, "viewport": {"width": 390, "height": 1900}, "color_scheme": "light"},
}


def work(part: int, seconds: float, megabytes: float = 0.01) -> np.ndarray:
    """Takes its time, and makes something of some size."""
    time.sleep(seconds)
    return np.full(int(megabytes * (1 << 17)), float(part))


def read(part: int) -> np.ndarray:
    """Reads a part of a table that is not there."""
    return work(part, 0.35 + 0.25 * random.Random(part).random(), 9)


def clean(table: np.ndarray) -> np.ndarray:
    """Makes a table of the same size."""
    time.sleep(0.2 + 0.25 * random.Random(float(table[0])).random())
    return table + 1


def features(table: np.ndarray) -> np.ndarray:
    """Makes a small table of a large one."""
    time.sleep(0.4)
    return table[: 1 << 16] * 2


def join(tables: list[np.ndarray]) -> np.ndarray:
    """Makes one table of several."""
    time.sleep(0.5)
    return np.concatenate(tables)


def model(tables: list[np.ndarray]) -> float:
    """Makes a number of it all."""
    time.sleep(0.6)
    return float(sum(table.sum() for table in tables))


def score(part: int) -> int:
    """Takes almost no time."""
    return part * part


def parse(part: int) -> int:
    """Fails for one part."""
    time.sleep(0.02)
    if part == 7:
        raise ValueError("line 70017 has 7 fields, not 9: '2013-05-12,,EWR,UA,1141'")
    return part


# Pictures show no path of the machine on which they were taken.
parse.__code__ = parse.__code__.replace(co_filename=Path(__file__).name)


class Flaky:
    """A source that fails now and then."""

    def __init__(self) -> None:
        self.failed: set[int] = set()

    def __call__(self, part: int) -> int:
        """Fails for some parts when they are asked for the first time."""
        time.sleep(0.03)
        if part % 5 == 2 and part not in self.failed:
            self.failed.add(part)
            raise ConnectionError(f"part {part}: the server has closed the connection")
        return part


@mobula.remote
class Cache:
    """Keeps values by key."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def get(self, key: str) -> object:
        """What is known of a key, or None."""
        return self.values.get(key)

    def put(self, key: str, value: object) -> None:
        """Keeps a value."""
        self.values[key] = value


@mobula.remote
class Progress:
    """Counts."""

    def __init__(self) -> None:
        self.parts = 0

    def add(self) -> None:
        """Counts one more."""
        self.parts += 1


class Cached(RayDaskCallback):  # type: ignore[misc]
    """Answers for tasks whose values are known."""

    def __init__(self, cache: mobula.ActorHandle) -> None:
        self.cache = cache

    def _ray_presubmit(self, task: object, key: object, deps: object) -> object:
        return mobula.get(self.cache.get.remote(str(key)))

    def _ray_posttask(self, key: object, result: object, pre_state: object) -> None:
        if str(key).startswith("('lookup"):
            mobula.get(self.cache.put.remote(str(key), result))


def graph_at_work() -> dict[object, object]:
    """The graph that is shown."""
    graph: dict[object, object] = {}
    for part in range(PARTS):
        graph["read-2d1f", part] = (read, part)
        graph["clean-2d1f", part] = (clean, ("read-2d1f", part))
    for part in range(0, PARTS, 2):
        graph["features-2d1f", part // 2] = (features, ("clean-2d1f", part))
        graph["join-2d1f", part // 2] = (
            join,
            [("features-2d1f", part // 2), ("clean-2d1f", part + 1)],
        )
    graph["model"] = (model, [("join-2d1f", part) for part in range(PARTS // 2)])
    return graph


def prepare(cache: mobula.ActorHandle) -> None:
    """Lets happen what the page shows as past."""
    numbers = {("score-77aa", part): (score, part) for part in range(20_000)}
    ray_dask_get(numbers, list(numbers))
    lookups: dict[object, object] = {
        ("lookup-90c3", part): (work, part, 0.05) for part in range(24)
    }
    with Cached(cache):
        ray_dask_get({key: lookups[key] for key in list(lookups)[:16]}, list(lookups)[:16])
        ray_dask_get(lookups, list(lookups))
    flaky = dask.delayed(Flaky(), pure=False)
    with dask.annotate(retries=2):
        parts = [flaky(part, dask_key_name=("fetch-5be0", part)) for part in range(16)]
    dask.compute(*parts, scheduler=ray_dask_get)
    parsed = {("parse-c41b", part): (parse, part) for part in range(16)}
    with suppress(ValueError):
        ray_dask_get({**parsed, "rows": (sum, list(parsed))}, "rows")


@contextmanager
def cluster() -> Iterator[str]:
    """A cluster with a dashboard, whose URL it gives."""
    mobula.init(num_cpus=4, memory_limit="128 MiB", dashboard=True)
    url = mobula.dashboard_url()
    assert url is not None
    try:
        yield url
    finally:
        mobula.shutdown()


def take(look: str, path: Path) -> None:
    """Takes one picture, when the graph is half done."""
    with cluster() as url, browser() as opened, watched(opened, **LOOKS[look]) as page:
        page.goto(url)
        wait_until(page, "document.documentElement.dataset.connection === 'live'")
        cache, progress = Cache.remote(), Progress.remote()
        kept = [mobula.put(np.ones(1 << 20)) for _ in range(4)]
        prepare(cache)
        for _ in range(12):
            progress.add.remote()
        caller = threading.Thread(target=ray_dask_get, args=(graph_at_work(), "model"))
        caller.start()
        running = "document.querySelector('[data-status=running]')"
        done = f"Number({running}?.querySelector('[data-count=done]').dataset.value)"
        wait_until(page, f"{done} >= 4")
        wait_until(page, "document.querySelector('[data-error][data-final=true]') !== null")
        wait_until(page, f"{done} >= {PARTS * 3 // 2}")
        if look != "phone":
            page.locator("[data-error][data-final=true] summary").click()
            page.mouse.click(5, 5)  # The focus goes elsewhere.
            wait_until(page, "document.querySelectorAll('#graph [data-state=done]').length >= 18")
        page.screenshot(path=path)
        caller.join()
        del kept
    shrink(path)


def shrink(path: Path) -> None:
    """Makes the file small: 256 colours are more than the page has, but for the edges of letters."""
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(256, kmeans=3, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def main() -> int:
    """Takes the pictures; answers the exit code."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    for look in LOOKS:
        path = folder / f"dashboard-{look}.png"
        take(look, path)
        print(f"{path}: {path.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
