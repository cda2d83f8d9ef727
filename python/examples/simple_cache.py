"""The cache of the Dask-on-Ray guide: an actor keeps what took long, and answers the second time.

    python python/examples/simple_cache.py

Only the imports and the threshold differ from the guide: what takes longer than a tenth of a second
is kept, not two seconds. Of the tasks only `slow` does.

Prints::

    first run: slow runs
    first run: 42
    second run: 42
    cached_keys=slow
    result=42
"""

import time
from timeit import default_timer as timer

import dask.delayed

import mobula as ray
from mobula.dask import RayDaskCallback, ray_dask_get

ray.init()


@ray.remote
class SimpleCacheActor:
    def __init__(self):
        self.cache = {}

    def get(self, key):
        # Raises KeyError if key isn't in cache.
        return self.cache[key]

    def put(self, key, value):
        self.cache[key] = value

    # Not in the guide: what this example shows at its end.
    def keys(self):
        return list(self.cache)


class SimpleCacheCallback(RayDaskCallback):
    def __init__(self, cache_actor_handle, put_threshold=10):
        self.cache_actor = cache_actor_handle
        self.put_threshold = put_threshold

    def _ray_presubmit(self, task, key, deps):
        try:
            return ray.get(self.cache_actor.get.remote(str(key)))
        except KeyError:
            return None

    def _ray_pretask(self, key, object_refs):
        start_time = timer()
        return start_time

    def _ray_posttask(self, key, result, pre_state):
        execution_time = timer() - pre_state
        if execution_time > self.put_threshold:
            self.cache_actor.put.remote(str(key), result)


@dask.delayed
def quick(x):
    return x + 1


@dask.delayed
def slow(x):
    print(f"{attempt}: slow runs")
    time.sleep(0.3)
    return 2 * x


z = slow(quick(20), dask_key_name="slow")

cache_actor = SimpleCacheActor.remote()
cache_callback = SimpleCacheCallback(cache_actor, put_threshold=0.1)
with cache_callback:
    for attempt in ("first run", "second run"):
        result = z.compute(scheduler=ray_dask_get)
        print(f"{attempt}: {result}")

assert result == 42
print(f"cached_keys={','.join(ray.get(cache_actor.keys.remote()))}")
print(f"result={result}")
