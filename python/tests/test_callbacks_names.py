"""The names that hooks have in Dask on Ray, and what is said of wrong ones."""

from __future__ import annotations

import pytest
from hooked import fail, inc, schedulers
from hooked import nothing_is_left as nothing_is_left

from mobula.dask import (
    Callback,
    ProgressBar,
    ProgressBarCallback,
    RayDaskCallback,
    Result,
    get,
    ray_dask_get,
    ray_dask_get_sync,
)


class TestRayNames:
    def test_methods(self):
        calls = []

        class Everything(RayDaskCallback):
            def __init__(self):
                pass  # As programs have it that know nothing of the base class.

            def _ray_presubmit(self, task, key, deps):
                calls.append("presubmit")

            def _ray_postsubmit(self, task, key, deps, object_ref):
                calls.append("postsubmit")

            def _ray_pretask(self, key, object_refs):
                calls.append("pretask")
                return "state"

            def _ray_posttask(self, key, result, pre_state):
                calls.append(("posttask", key, result, pre_state))

            def _ray_postsubmit_all(self, object_refs, dsk):
                calls.append("postsubmit_all")

            def _ray_finish(self, result):
                calls.append(("finish", result))

        with Everything():
            assert ray_dask_get({"x": (inc, 1)}, "x") == 2
        assert [it for it in calls if it != "postsubmit_all"] == [
            "presubmit",
            "postsubmit",
            "pretask",
            ("posttask", "x", 2, "state"),
            ("finish", 2),
        ]
        assert calls.count("postsubmit_all") == 1

    @pytest.mark.parametrize("run", [ray_dask_get, ray_dask_get_sync])
    def test_keywords(self, run):
        calls = []
        callback = RayDaskCallback(
            ray_presubmit=lambda task, key, deps: Result(None) if key == "x" else None,
            ray_postsubmit=lambda task, key, deps, ref: calls.append(("postsubmit", key)),
            ray_pretask=lambda key, refs: key,
            ray_posttask=lambda key, result, state: calls.append((key, result, state)),
            ray_finish=lambda result: calls.append(("finish", result)),
            start=lambda dsk: calls.append("start"),
        )
        with callback:
            assert run({"x": (fail,), "y": (lambda x: x, "x")}, "y") is None
        assert calls == ["start", ("postsubmit", "y"), ("y", None, "y"), ("finish", None)]

    def test_active(self):
        assert not RayDaskCallback.ray_active
        with RayDaskCallback():
            assert RayDaskCallback.ray_active
        assert not RayDaskCallback.ray_active

    def test_callbacks_of_one_run(self):
        ended = []
        callback = RayDaskCallback(ray_posttask=lambda key, *_: ended.append(key))
        six = (None, None, None, lambda key, *_: ended.append(key), None, None)
        get({"x": (inc, 1)}, "x", ray_callbacks=[callback, six])
        assert ended == ["x", "x"]

    def test_the_timer_of_the_documentation(self, capsys):
        from timeit import default_timer as timer

        class MyTimerCallback(RayDaskCallback):
            def _ray_pretask(self, key, object_refs):
                start_time = timer()
                return start_time

            def _ray_posttask(self, key, result, pre_state):
                execution_time = timer() - pre_state
                print(f"Execution time for task {key}: {execution_time}s")

        def my_presubmit_cb(task, key, deps):
            print(f"About to submit task {key}!")

        with MyTimerCallback(), RayDaskCallback(ray_presubmit=my_presubmit_cb):
            get({"x": (inc, 1)}, "x")
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "About to submit task x!"
        assert lines[1].startswith("Execution time for task x: ")

    def test_the_progress_bar_has_both_names(self):
        assert ProgressBarCallback is ProgressBar


class TestMistakes:
    """What is no callback is refused, in words that say what would be one."""

    @pytest.mark.parametrize("kind", [Callback, RayDaskCallback])
    @pytest.mark.parametrize("hook", ["presubmit", "run_finish", "start", "finish"])
    def test_a_hook_that_is_no_function(self, kind, hook):
        with pytest.raises(TypeError, match=f"^{hook}=1: a hook must be a function, or None"):
            kind(**{hook: 1})

    def test_a_ray_hook_that_is_no_function(self):
        with pytest.raises(TypeError, match=r"^ray_pretask=1: a hook must be a function"):
            RayDaskCallback(ray_pretask=1)

    @schedulers
    def test_a_method_that_is_no_function(self, run):
        class Wrong(Callback):
            _task_start = 1

        with Wrong(), pytest.raises(TypeError, match=r"Wrong\._task_start=1: a hook must be"):
            run({"x": (inc, 1)}, "x")

    def test_a_hook_that_there_is_not(self):
        with pytest.raises(
            TypeError, match=r"^Callback has no hook 'foo'; there are start, .*retry"
        ):
            Callback(foo=1)
        with pytest.raises(
            TypeError, match=r"no hook 'ray_pretask'; there are start, .*task_start"
        ):
            Callback(ray_pretask=print)
        with pytest.raises(TypeError, match=r"^RayDaskCallback has no .*retry.*, ray_presubmit, "):
            RayDaskCallback(foo=1)

    @schedulers
    @pytest.mark.parametrize("wrong", [3, "abc", [3], [None], Callback, [Callback], [[None] * 5]])
    @pytest.mark.parametrize("name", ["callbacks", "ray_callbacks"])
    def test_callbacks_of_one_run_that_are_none(self, run, wrong, name):
        expected = r"it must be a Callback, a tuple of its hooks \(.*finish\), or a list of those$"
        with pytest.raises(TypeError, match=f"^{name}=.*: {expected}"):
            run({"x": (inc, 1)}, "x", **{name: wrong})

    @schedulers
    @pytest.mark.parametrize("wrong", [(None,) * 4, [(None,) * 4], [(print,) * 7], [()]])
    @pytest.mark.parametrize(("name", "count"), [("callbacks", 5), ("ray_callbacks", 6)])
    def test_tuples_of_too_few_or_too_many_hooks(self, run, wrong, name, count):
        with pytest.raises(
            TypeError, match=f"^{name}=.*: a tuple must be of {count} hooks, .*finish"
        ):
            run({"x": (inc, 1)}, "x", **{name: wrong})

    def test_tuples_with_what_is_no_function(self):
        with pytest.raises(TypeError, match=r"^callbacks: pretask=1: a hook must be a function"):
            get({"x": (inc, 1)}, "x", callbacks=(None, None, 1, None, None))

    def test_tuples_without_any_hook(self):
        for empty in [(None,) * 5, [(None,) * 5], (), []]:
            assert get({"x": (inc, 1)}, "x", callbacks=empty) == 2
