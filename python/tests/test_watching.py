"""Profiles, journals and what the dashboard's server says, without a browser."""

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from operator import add

import dask
import pytest

import mobula
import mobula.dask
from mobula import _core


@pytest.fixture(autouse=True)
def anew():
    mobula.shutdown()
    yield
    mobula.shutdown()


def fail(_):
    raise ValueError("no luck")


GRAPH = {("x", 0): (add, 1, 1), ("x", 1): (add, ("x", 0), 1), "y": (add, ("x", 1), 1)}


def snapshot():
    (text,) = _core.snapshots()
    return json.loads(text)


class Timer(mobula.dask.Callback):
    def _task_start(self, key, refs):
        return None


class Printer(mobula.dask.Callback):
    def _task_end(self, key, result, state):
        pass


def test_callbacks_are_timed_together_under_their_names(tmp_path):
    mobula.init(journal=tmp_path / "journal.jsonl")
    with Timer(), Printer():
        mobula.dask.get(GRAPH, "y")
    mobula.shutdown()
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    (ended,) = [record for record in map(json.loads, lines) if record["t"] == "run_ended"]
    (hooks,) = ended["hooks"]
    assert hooks["callback"] == "Timer, Printer"
    assert hooks["calls"] >= 2 * len(GRAPH)


def test_a_profile_has_every_task_of_every_cluster(tmp_path):
    mobula.dask.get(GRAPH, "y")
    with mobula.profile(tmp_path / "report.html", trace=tmp_path / "trace.json") as profile:
        assert mobula.dask.get(GRAPH, "y") == 4
        assert mobula.dask.get(GRAPH, "y", num_workers=3) == 4
        assert mobula.dask.get_sync(GRAPH, "y") == 4
        assert mobula.dask.get(GRAPH, "y", workers="processes") == 4
    mobula.dask.get(GRAPH, "y")
    runs = profile.recording.runs
    assert [(run["status"], run["tasks"], run["done"]) for run in runs] == [("done", 3, 3)] * 4
    keys = [(run, key) for run, key, *_ in profile.recording.tasks]
    assert sorted(keys) == sorted(
        (run["id"], key) for run in runs for key in ("('x', 0)", "('x', 1)", "y")
    )
    assert all(begin <= end for _, _, _, begin, end, _, _ in profile.recording.tasks)
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert sum(event["ph"] == "X" for event in events) == 12


def test_a_profile_of_what_fails_is_written_and_has_the_traceback(tmp_path):
    path = tmp_path / "report.html"
    with pytest.raises(ValueError, match="no luck"), mobula.profile(path) as profile:
        mobula.dask.get({"x": (fail, 1), "y": (add, "x", 1)}, "y")
    (run,) = profile.recording.runs
    assert (run["status"], run["failed"]) == ("failed", 1)
    assert run["error"] == "task 'x' failed: ValueError: no luck"
    report = path.read_text()
    assert "in fail" in report and "test_watching.py" in report


def test_a_profile_that_cannot_be_written_says_so(tmp_path):
    # Before hours of work, where that can be known.
    missing = pytest.raises(FileNotFoundError, match="there is no directory '/none'")
    with missing, mobula.profile("/none/x.html"):
        pytest.fail("the block begins")
    # A directory is no file; the other file is written all the same.
    trace = tmp_path / "trace.json"
    failed = pytest.raises(OSError, match="could not write the report")
    with failed, mobula.profile(tmp_path, trace=trace):
        pass
    assert json.loads(trace.read_text())
    warned = pytest.warns(RuntimeWarning, match="could not write the trace")
    mine = pytest.raises(ValueError, match="mine")
    with warned, mine, mobula.profile(trace=tmp_path):
        raise ValueError("mine")
    profile = mobula.profile()
    with profile, pytest.raises(RuntimeError, match="records already"):
        profile.__enter__()


def test_a_recording_is_there_when_its_block_has_ended():
    profile = mobula.profile()
    with profile, pytest.raises(RuntimeError, match="when the block of this profile has ended"):
        print(profile.recording)
    assert profile.recording.runs == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no disk that is always full")
def test_a_journal_that_was_cut_is_told_at_shutdown():
    mobula.init(journal="/dev/full")
    mobula.dask.get(GRAPH, "y")
    with pytest.warns(RuntimeWarning, match="/dev/full.*ends before the end"):
        mobula.shutdown()


def test_pictures_are_svg_and_times_are_known_after_a_run(tmp_path):
    x = dask.delayed(add)(1, 1)
    with pytest.raises(ValueError, match=r"name it `\.svg`"):
        mobula.visualize(x, filename=tmp_path / "graph.png")
    with pytest.raises(ValueError, match="known after a run"):
        mobula.visualize(x, color="time")


def test_a_dashboard_says_where_it_is_and_why_not_where_it_was_wanted(capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        mobula.init(dashboard=port)
        said = capsys.readouterr().err
        assert said == (
            f"mobula: the dashboard is at {mobula.dashboard_url()}, as port {port} is taken\n"
        )


def test_a_run_that_the_dashboard_does_not_show_warns_of_it_once():
    mobula.init(num_workers=1, dashboard=True)
    with pytest.warns(RuntimeWarning, match="num_workers=3: .* the dashboard shows"):
        assert mobula.dask.get({"x": (add, 1, 2)}, "x", num_workers=3) == 3
    # The workers are there by now. (Other warnings are errors in these tests.)
    assert mobula.dask.get({"x": (add, 1, 2)}, "x", num_workers=3) == 3


def test_as_many_workers_as_usual_are_the_usual_ones():
    mobula.init(num_workers=2, dashboard=True)
    mobula.dask.get(GRAPH, "y", num_workers=2)
    assert [run["status"] for run in snapshot()["runs"]] == ["done"]


def test_what_shutdown_ends_is_recorded_all_the_same():
    with mobula.profile() as profile:
        mobula.dask.get(GRAPH, "y")
        mobula.shutdown()
    assert [run["done"] for run in profile.recording.runs] == [3]


def test_a_snapshot_counts_what_has_happened():
    with mobula.profile():
        mobula.dask.get(GRAPH, "y")
        with pytest.raises(ValueError, match="no luck"):
            mobula.dask.get({"x": (fail, 1)}, "x")
        seen = snapshot()
    done, failed = seen["runs"]
    assert (done["counts"]["done"], failed["counts"]["failed"]) == (3, 1)
    assert [prefix["name"] for prefix in done["prefixes"]] == ["x", "y"]
    (error,) = seen["errors"]
    assert error["details"].startswith("Traceback (most recent call last):")
    assert error["details"].endswith("ValueError: no luck")
    assert error["is_final"]


def test_actors_are_seen_with_how_often_they_were_called():
    @mobula.remote
    class Counter:
        def add(self):
            return 1

    first = Counter.options(name="first").remote()
    other = Counter.remote()
    mobula.get([first.add.remote(), first.add.remote(), other.add.remote()])
    states = {state["name"]: state for state in snapshot()["states"]}
    assert {name: state["messages"] for name, state in states.items()} == {
        "Counter (first)": 2,
        "Counter": 1,
    }
    assert all(state["is_alive"] for state in states.values())


def test_worker_processes_are_seen_with_their_process():
    mobula.init(workers="processes", num_workers=1)
    with mobula.profile():
        mobula.dask.get(GRAPH, "y")
        (worker,) = snapshot()["workers"]
    assert (worker["kind"], worker["tasks"]) == ("process", 3)
    assert worker["pid"] and worker["resident"] > 1 << 20


def test_a_journal_outlives_a_program_that_crashes(tmp_path):
    path = tmp_path / "journal.jsonl"
    program = f"""
import os, mobula, mobula.dask
mobula.init(num_cpus=1, journal={str(path)!r})
mobula.dask.get({{"x": (sum, [1, 2])}}, "x")
mobula.dask.get({{"y": (sum, [1, 2])}}, "y", num_workers=2)
import json
import os
from mobula import _core
_core.snapshots()  # All that has happened is written.
mobula.dask.get({{"z": (os._exit, 3)}}, "z")
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 3
    statuses = [run["status"] for run in mobula.read_journal(path).runs]
    assert statuses[0] == "done"
    (second,) = mobula.read_journal(tmp_path / "journal-2.jsonl").runs
    assert second["done"] == 1


def test_a_journal_that_cannot_be_is_an_error(tmp_path):
    with pytest.raises(OSError, match="cannot be written: No such file"):
        mobula.init(journal=tmp_path / "none" / "journal.jsonl")
    assert not mobula.is_initialized()
    with pytest.raises(FileNotFoundError, match="check the path"):
        mobula.read_journal(tmp_path / "none.jsonl")
    (tmp_path / "text").write_text("hello\n")
    with pytest.raises(ValueError, match="is no journal"):
        mobula.read_journal(tmp_path / "text")


def get(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


def test_the_dashboard_is_where_its_url_says_and_ends_with_the_workers():
    assert mobula.dashboard_url() is None
    mobula.init(num_cpus=1, dashboard=True)
    url = mobula.dashboard_url()
    assert url.startswith("http://127.0.0.1:") and "/?token=" in url
    assert "<title>Mobula</title>" in get(url)
    mobula.dask.get(GRAPH, "y")
    _core.snapshots()
    seen = json.loads(get(url.replace("/?", "/api/snapshot?")))
    assert seen["runs"][-1]["counts"]["done"] == 3
    with pytest.raises(urllib.error.HTTPError, match="401"):
        get(url[:-1] + ("0" if url[-1] != "0" else "1"))
    mobula.shutdown()
    with pytest.raises(urllib.error.URLError):
        get(url)
    assert mobula.dashboard_url() is None


def test_a_port_can_be_chosen():
    mobula.init(num_cpus=1, dashboard=0)
    assert mobula.dashboard_url()
    mobula.shutdown()
    for wrong in ("yes", 1.5, 1 << 16, -1):
        with pytest.raises(
            ValueError, match="dashboard must be True, False or the number of a port"
        ):
            mobula.init(num_cpus=1, dashboard=wrong)
        assert not mobula.is_initialized()


def command(*arguments, **environment):
    run = [sys.executable, "-m", "mobula", *map(str, arguments)]
    return subprocess.run(run, capture_output=True, text=True, env={**os.environ, **environment})


def test_the_command_makes_a_report_of_a_journal(tmp_path):
    journal = tmp_path / "journal.jsonl"
    mobula.init(num_cpus=1, journal=journal)
    mobula.dask.get(GRAPH, "y")
    mobula.shutdown()
    trace, svg = tmp_path / "trace.json", tmp_path / "graph.svg"
    made = command("report", journal, "--trace", trace, "--svg", svg)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.splitlines()[0] == f"{tmp_path / 'journal.html'}: 1 run, 3 tasks"
    assert trace.exists() and svg.read_text().startswith("<svg")
    failed = command("report", tmp_path / "none")
    assert failed.returncode == 1 and "check the path" in failed.stderr


def test_the_command_reads_the_dashboard():
    mobula.init(num_cpus=1, dashboard=True)
    url = mobula.dashboard_url()
    with pytest.raises(ValueError, match="no luck"):
        mobula.dask.get({("z", 0): (fail, 1)}, ("z", 0))
    _core.snapshots()
    top = command("top", url, "--once")
    assert top.returncode == 0, top.stderr
    assert top.stdout.startswith("Mobula ") and "task ('z', 0) failed" in top.stdout.replace(
        '"', ""
    )
    told = command("explain", "('z', 0)", MOBULA_DASHBOARD=url)
    assert told.returncode == 0, told.stderr
    assert "no run that goes on has such a task" in told.stdout
    assert "ValueError: no luck" in told.stdout
    wrong = command("top", url[:-4], "--once")
    assert wrong.returncode == 1 and "does not take the token" in wrong.stderr
    mobula.shutdown()
    gone = command("explain", "x", "--url", url)
    assert gone.returncode == 1 and "is its program still running?" in gone.stderr


def test_graphs_are_drawn_before_and_after_a_run(tmp_path):
    x = dask.delayed(add)(1, 2, dask_key_name="the-sum")
    path = tmp_path / "graph.svg"
    picture = mobula.visualize(x, dask.delayed(add)(x, 3), filename=path)
    assert path.read_text() == picture == picture._repr_svg_()
    assert "the-sum" in picture
    with mobula.profile() as profile:
        x.compute(scheduler="mobula")
    after = profile.recording.visualize(color="memory")
    assert isinstance(after, mobula.Picture) and "the-sum" in after
    with pytest.raises(ValueError, match='color="size"'):
        mobula.visualize(x, color="size")
    with pytest.raises(IndexError, match="there are 1 in the recording"):
        profile.recording.visualize(1)
    with pytest.raises(TypeError, match="collections of Dask's"):
        mobula.visualize(1)
