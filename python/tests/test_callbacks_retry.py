"""Hooks that hear of further attempts."""

from __future__ import annotations

import dask
import pytest
from hooked import fail, schedulers
from hooked import nothing_is_left as nothing_is_left

from mobula.dask import (
    Callback,
)


@schedulers
@pytest.mark.parametrize("fails", [1, 3])
def test_retry_is_told_of_every_further_attempt(run, fails):
    calls = []

    def flaky():
        calls.append("call")
        if calls.count("call") <= fails:
            raise ValueError("on purpose")
        return 5

    with dask.annotate(retries=3):
        value = dask.delayed(flaky, pure=False)()
    told, starts = [], []
    callback = Callback(
        retry=lambda key, attempt: told.append((key, attempt)),
        presubmit=lambda task, key, deps: starts.append("presubmit"),
        task_start=lambda key, refs: starts.append("task_start"),
    )
    with callback:
        assert value.compute(scheduler=run, optimize_graph=False) == 5
    assert told == [(value.key, attempt) for attempt in range(2, fails + 2)]
    assert starts == ["presubmit"] + ["task_start"] * (fails + 1)


def of_a_flaky_task(hooks, calls, fails):
    """Callbacks that note when their hooks are called, and a task to use them with."""

    def notes(hook):
        return lambda *args: calls.append((hook, args[1]) if hook == "retry" else hook)

    def flaky():
        calls.append("call")
        if calls.count("call") <= fails:
            raise ValueError("on purpose")

    with dask.annotate(retries=2):
        value = dask.delayed(flaky, pure=False)()
    return Callback(**{hook: notes(hook) for hook in hooks}), value


@schedulers
@pytest.mark.parametrize("more", [(), ("posttask",), ("pretask", "posttask")])
def test_retry_comes_before_its_attempt(run, more):
    calls = []
    hooks = ("task_start", "task_end", "retry", "error", *more)
    callback, value = of_a_flaky_task(hooks, calls, fails=2)
    with callback:
        value.compute(scheduler=run, optimize_graph=False)
    first = [call for call in calls if call != "pretask"]
    assert first == [
        *("task_start", "call"),
        *(("retry", 2), "task_start", "call"),
        *(("retry", 3), "task_start", "call", "task_end"),
        *(call for call in more if call == "posttask"),
    ]


@schedulers
@pytest.mark.parametrize("more", [(), ("posttask",), ("pretask", "posttask")])
@pytest.mark.parametrize("around", [(), ("task_start",)])
def test_retry_is_told_of_a_run_that_fails(run, more, around):
    calls = []
    callback, value = of_a_flaky_task(("retry", "error", *around, *more), calls, fails=3)
    with callback, pytest.raises(ValueError, match="on purpose"):
        value.compute(scheduler=run, optimize_graph=False)
    first = [call for call in calls if call not in ("pretask", "task_start")]
    assert first == ["call", ("retry", 2), "call", ("retry", 3), "call", "error"]


def test_retries_of_several_tasks_are_told_apart():
    calls = []
    callback = Callback(retry=lambda key, attempt: calls.append((key, attempt)))
    count = 20
    left = {number: number % 4 for number in range(count)}

    def flaky(number):
        if left[number]:
            left[number] -= 1
            raise ValueError("on purpose")
        return number

    with dask.annotate(retries=3):
        values = [dask.delayed(flaky)(n, dask_key_name=("flaky", n)) for n in range(count)]
    with callback:
        done = dask.compute(*values, scheduler="mobula", num_workers=4, optimize_graph=False)
    assert done == tuple(range(count))
    for number in range(count):
        attempts = [attempt for key, attempt in calls if key == ("flaky", number)]
        assert attempts == list(range(2, number % 4 + 2))


@schedulers
def test_a_retry_hook_that_raises_ends_the_run(run):
    def throw(key, attempt):
        raise LookupError(attempt)

    with dask.annotate(retries=3):
        value = dask.delayed(fail, pure=False)()
    with Callback(retry=throw), pytest.raises(LookupError):
        value.compute(scheduler=run, optimize_graph=False)
