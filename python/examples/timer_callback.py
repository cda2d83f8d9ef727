"""`MyTimerCallback` of the Dask-on-Ray guide: how long each task runs, from its worker's view.

    python python/examples/timer_callback.py

Only the imports differ from the guide. The two `inc` tasks may end in either order.

Prints, with other times and keys::

    Execution time for task inc-4b2f0ec6-6a0c-46e8-a1f3-0d6cb2e6a1a2: 0.10012s
    Execution time for task inc-e0c1a3d2-38b9-4e9f-8a5b-d22f1f5f0c9e: 0.10019s
    Execution time for task add-1f7c8a54-0c1d-4ee4-97d6-8f1c2f9f6b55: 0.05009s
    result=5
"""

import time
from timeit import default_timer as timer

import dask.delayed

from mobula.dask import RayDaskCallback, ray_dask_get


class MyTimerCallback(RayDaskCallback):
    def _ray_pretask(self, key, object_refs):
        # Executed at the start of the task.
        start_time = timer()
        return start_time

    def _ray_posttask(self, key, result, pre_state):
        # Executed at the end of the task.
        execution_time = timer() - pre_state
        print(f"Execution time for task {key}: {execution_time}s")


@dask.delayed
def inc(x):
    time.sleep(0.1)
    return x + 1


@dask.delayed
def add(x, y):
    time.sleep(0.05)
    return x + y


z = add(inc(1), inc(2))

with MyTimerCallback():
    # Any .compute() calls within this context will get MyTimerCallback() as a callback.
    result = z.compute(scheduler=ray_dask_get)

# From here on nothing is timed.
assert z.compute(scheduler=ray_dask_get) == result == 5
print(f"result={result}")
