"""Callbacks of the Dask-on-Ray guide: made by the constructor, as a subclass, and two at once.

    python python/examples/presubmit_callback.py

Only the imports differ from the guide, which leaves open what is computed: here `y` takes `x`, so
the lines have an order. The callbacks are called in the order in which they were entered.

Prints, with other times::

    by the constructor
    About to submit task x!
    About to submit task y!
    by a subclass
    About to submit task x!
    About to submit task y!
    two at once
    About to submit task x!
    Execution time for task x: 0.0000031s
    About to submit task y!
    Execution time for task y: 0.0000025s
    result=4
"""

from timeit import default_timer as timer

import dask.delayed

from mobula.dask import RayDaskCallback, ray_dask_get


@dask.delayed
def inc(x):
    return x + 1


@dask.delayed
def double(x):
    return 2 * x


# With names of their own; Dask would give them random ones.
x = inc(1, dask_key_name="x")
y = double(x, dask_key_name="y")


def my_presubmit_cb(task, key, deps):
    print(f"About to submit task {key}!")


print("by the constructor")
with RayDaskCallback(ray_presubmit=my_presubmit_cb):
    y.compute(scheduler=ray_dask_get)


class MyPresubmitCallback(RayDaskCallback):
    def _ray_presubmit(self, task, key, deps):
        print(f"About to submit task {key}!")


print("by a subclass")
with MyPresubmitCallback():
    y.compute(scheduler=ray_dask_get)


class MyTimerCallback(RayDaskCallback):
    def _ray_pretask(self, key, object_refs):
        # Executed at the start of the task.
        start_time = timer()
        return start_time

    def _ray_posttask(self, key, result, pre_state):
        # Executed at the end of the task.
        execution_time = timer() - pre_state
        print(f"Execution time for task {key}: {execution_time:.7f}s")


print("two at once")
# The hooks for both MyTimerCallback and MyPresubmitCallback will be called.
with MyTimerCallback(), MyPresubmitCallback():
    result = y.compute(scheduler=ray_dask_get)

assert result == 4
print(f"result={result}")
