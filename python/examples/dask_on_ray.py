"""The first example of the Dask-on-Ray guide: `delayed` functions, computed by the scheduler.

    python python/examples/dask_on_ray.py

Only the imports differ from the guide: `mobula` for `ray`, `mobula.dask` for `ray.util.dask`.

Prints::

    z = 5
    result=5
"""

import time

import dask.delayed

import mobula as ray
from mobula.dask import ray_dask_get

# Start Mobula. (It starts by itself where this line is missing.)
ray.init()


@dask.delayed
def inc(x):
    time.sleep(0.1)
    return x + 1


@dask.delayed
def add(x, y):
    time.sleep(0.1)
    return x + y


x = inc(1)
y = inc(2)
z = add(x, y)
# The Dask scheduler submits the underlying task graph to Mobula.
result = z.compute(scheduler=ray_dask_get)

print(f"z = {result}")
assert result == 5
print(f"result={result}")
