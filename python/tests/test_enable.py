"""Mobula as Dask's default scheduler, for a while or until further notice."""

from __future__ import annotations

import threading

import dask
import pytest
from hooked import inc
from hooked import nothing_is_left as nothing_is_left

from mobula.dask import (
    Callback,
    disable,
    disable_dask_on_ray,
    enable,
    enable_dask_on_ray,
)


@pytest.mark.parametrize(
    ("on", "off"), [(enable, disable), (enable_dask_on_ray, disable_dask_on_ray)]
)
class TestDefault:
    @staticmethod
    def runs_here():
        places = []
        with Callback(task_start=lambda key, refs: places.append(key)):
            dask.delayed(inc)(1).compute()
        return len(places) == 1

    def test_on_and_off(self, on, off):
        before = dask.config.get("scheduler", None)
        on()
        assert self.runs_here()
        off()
        assert not self.runs_here()
        assert dask.config.get("scheduler", None) == before

    def test_blocks(self, on, off):
        with on():
            assert self.runs_here()
            with off():
                assert not self.runs_here()
            assert self.runs_here()
            with on():
                assert self.runs_here()
            assert self.runs_here()
        assert not self.runs_here()

    def test_what_was_there_before_comes_back(self, on, off):
        with dask.config.set(scheduler="sync"):
            with on():
                assert self.runs_here()
            assert dask.config.get("scheduler") == "sync"
            on()
            off()
            assert dask.config.get("scheduler") == "sync"

    def test_off_inside_of_a_block(self, on, off):
        with dask.config.set(scheduler="sync"):
            with on():
                off()
                assert dask.config.get("scheduler") == "sync"
            assert dask.config.get("scheduler") == "sync"

    def test_blocks_may_end_in_any_order(self, on, off):
        outer, middle, inner = on(), on(), on()
        for block in (middle, outer):
            block.__exit__(None, None, None)
            assert self.runs_here()
        inner.__exit__(None, None, None)
        assert dask.config.get("scheduler", "unset") == "unset"

    def test_off_takes_all_back(self, on, off):
        with dask.config.set(scheduler="sync"):
            on()
            on()
            with off():
                assert dask.config.get("scheduler") == "sync"
            assert self.runs_here()
            off()
            assert dask.config.get("scheduler") == "sync"
        assert dask.config.get("scheduler", "unset") == "unset"

    def test_what_was_set_back_stays(self, on, off):
        with dask.config.set(scheduler="sync"):
            on()
        assert dask.config.get("scheduler", "unset") == "unset"
        off()
        assert dask.config.get("scheduler", "unset") == "unset"

    def test_what_was_set_in_between_stays(self, on, off):
        outer = on()
        with dask.config.set(scheduler="threads"):
            with on():
                outer.__exit__(None, None, None)
                assert self.runs_here()
            assert dask.config.get("scheduler") == "threads"
        # Dask's own block sets it to what was there before it.
        assert dask.config.pop("scheduler") == "mobula"

    def test_what_ends_while_it_is_off_stays_off(self, on, off):
        enabled = on()
        with off():
            enabled.__exit__(None, None, None)
        assert dask.config.get("scheduler", "unset") == "unset"

    def test_what_begins_while_it_is_off_ends_alone(self, on, off):
        first = on()
        block = off()
        second = on()
        block.__exit__(None, None, None)
        second.__exit__(None, None, None)
        assert self.runs_here()
        first.__exit__(None, None, None)
        assert dask.config.get("scheduler", "unset") == "unset"

    def test_blocks_of_two_threads(self, on, off):
        """Both are inside at the same time; the one that was there first leaves first."""
        first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))
        seen = []

        def first():
            with on():
                first_is_in.set()
                assert second_is_in.wait(60)
            first_is_out.set()

        def second():
            with on():
                second_is_in.set()
                assert first_is_out.wait(60)
                seen.append(dask.config.get("scheduler"))

        threads = [threading.Thread(target=body) for body in (first, second)]
        threads[0].start()
        assert first_is_in.wait(60)
        threads[1].start()
        for thread in threads:
            thread.join()
        assert seen == ["mobula"]
        assert dask.config.get("scheduler", "unset") == "unset"

    def test_off_alone(self, on, off):
        with dask.config.set(scheduler="mobula"):
            with off():
                assert not self.runs_here()
            assert self.runs_here()


def test_every_setting_comes_back():
    with dask.config.set({"dataframe.shuffle.method": "disk"}):
        one = enable(num_workers=1, shuffle="tasks")
        two = enable(num_workers=2)
        one.__exit__(None, None, None)
        assert dask.config.get("num_workers") == 2
        assert dask.config.get("dataframe.shuffle.method") == "disk"
        two.__exit__(None, None, None)
        assert dask.config.get("num_workers", "unset") == "unset"
        assert dask.config.get("scheduler", "unset") == "unset"


@pytest.mark.parametrize(
    ("number", "error"), [("x", TypeError), (2.5, TypeError), (0, ValueError), (-1, ValueError)]
)
def test_a_number_of_workers_is_looked_at(number, error):
    with pytest.raises(error, match=f"num_workers={number!r}: it must be "):
        enable(num_workers=number)
    assert dask.config.get("scheduler", "unset") == "unset"
