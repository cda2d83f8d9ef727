"""What tasks write in worker processes, as their parent shows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import warnings

import pytest
from dask.callbacks import Callback
from process_workers import arrive, await_arrival, cluster, get, pipe, until, worker_pids

import mobula.dask
from mobula.exceptions import WorkerLostError

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module", autouse=True)
def workers():
    with cluster(num_workers=2):
        yield


def shown(text):
    """The lines that came from tasks: the key and the text of each."""
    return [(key, line) for key, line in re.findall(r"^\((.*) \d+\) (.*)$", text, re.MULTILINE)]


def test_lines_are_shown_with_their_key_before_get_returns(capsys):
    def speak(number):
        print("number", number)
        print("and", number, "again", file=sys.stderr)

    graph = {("speak", number): (speak, number) for number in range(40)}
    get(graph, list(graph))
    out, err = capsys.readouterr()
    expected = [(repr(("speak", number)), number) for number in range(40)]
    assert sorted(shown(out)) == sorted((key, f"number {number}") for key, number in expected)
    assert sorted(shown(err)) == sorted((key, f"and {number} again") for key, number in expected)


def test_lines_of_a_chain_are_shown_with_the_keys_of_its_tasks(capsys):
    def speak(number):
        print("number", number)
        return number + 1

    graph = {"x-0": (speak, 0)}
    graph |= {f"x-{number}": (speak, f"x-{number - 1}") for number in range(1, 30)}
    get(graph, "x-29")
    out, _ = capsys.readouterr()
    assert shown(out) == [(f"'x-{number}'", f"number {number}") for number in range(30)]


def test_what_libraries_write_past_python_is_shown_before_get_returns(capsys):
    def write():
        os.write(1, b"to output\n")
        os.write(2, b"to error\n")
        subprocess.run(["echo", "from a subprocess"], check=True)

    get({"x": (write,)}, "x")
    out, err = capsys.readouterr()
    assert [line for _, line in shown(out)] == ["to output", "from a subprocess"]
    assert [line for _, line in shown(err)] == ["to error"]


def test_a_line_without_an_end_ends_when_the_next_task_writes(capsys):
    def go_on(_):
        print("other")

    with cluster(num_workers=1):
        get({"x": (lambda: print("no end", end=""),), "y": (go_on, "x")}, "y")
    out, _ = capsys.readouterr()
    assert shown(out) == [("'x'", "no end"), ("'y'", "other")]


@pytest.mark.parametrize("flush", [False, True])
def test_a_line_without_an_end_is_shown_before_get_returns(capsys, flush):
    def speak():
        for _ in range(3):
            print(".", end="", flush=flush)

    get({"dots": (speak,)}, "dots")
    assert shown(capsys.readouterr().out) == [("'dots'", "...")]


def test_whatever_is_written_is_shown_with_the_key_of_its_task(capsys):
    def write(number):
        sys.stdout.write(f"text {number}")
        sys.stdout.buffer.write(f", bytes {number}\n".encode())
        sys.stdout.buffer.writelines([b"to ", b"the end"])
        sys.stderr.write(f"error {number}")
        return number + 1

    graph = {"x-0": (write, 0)}
    graph |= {f"x-{number}": (write, f"x-{number - 1}") for number in range(1, 10)}
    get(graph, "x-9")
    out, err = capsys.readouterr()
    expected = [(f"'x-{number}'", f"text {number}, bytes {number}") for number in range(10)]
    ends = [(f"'x-{number}'", "to the end") for number in range(10)]
    assert shown(out) == [line for pair in zip(expected, ends, strict=True) for line in pair]
    assert shown(err) == [(f"'x-{number}'", f"error {number}") for number in range(10)]


def test_a_line_of_a_task_that_goes_on_is_not_cut_by_the_end_of_another(tmp_path, capsys):
    door = pipe(tmp_path / "door")

    def begin(_):
        print("begun", end="")
        # Meanwhile the end of the first task is heard, whose value somebody waits for.
        await_arrival(door)
        print(" and ended")

    class Opens(Callback):
        def _posttask(self, key, result, dsk, state, worker_id):
            if key == "first":
                arrive(door)

    with cluster(num_workers=1), Opens():
        get({"first": (print, "one"), "second": (begin, "first")}, "second")
    lines = [("'first'", "one"), ("'second'", "begun and ended")]
    assert shown(capsys.readouterr().out) == lines


def test_what_a_task_writes_goes_on_after_a_question(capsys):
    def ask():
        print("before", end="")
        value = mobula.dask.get({"y": (print, "inner")}, "y")
        print("after", end="")
        return value

    with cluster(num_workers=1):
        get({"x": (ask,)}, "x")
    lines = [("'x'", "before"), ("'y'", "inner"), ("'x'", "after")]
    assert shown(capsys.readouterr().out) == lines


def test_the_first_streams_are_the_marked_ones_too(capsys):
    def speak():
        sys.stdout = sys.__stdout__
        print("back", end="")
        print("too", end="", file=sys.__stderr__)

    get({"x": (print, "before"), "y": (lambda _: speak(), "x")}, "y")
    out, err = capsys.readouterr()
    assert shown(out) == [("'x'", "before"), ("'y'", "back")]
    assert shown(err) == [("'y'", "too")]


def test_a_task_that_closes_its_output_harms_nobody(capsys):
    def close():
        print("last", end="")
        sys.stdout.close()
        return 5

    with cluster(num_workers=1):
        assert get({"x": (close,)}, "x") == 5
        assert get({"y": (len, "abc")}, "y") == 3
    assert shown(capsys.readouterr().out) == [("'x'", "last")]


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_the_last_words_of_a_process_need_no_end(stream):
    def die():
        print("progress 50%", end="", file=getattr(sys, stream))
        os._exit(3)

    with pytest.raises(WorkerLostError, match="progress 50%"):
        get({"x": (die,)}, "x")


def test_text_of_every_kind_is_shown_as_it_was_written(capsys):
    texts = ["ünïcödé ⛵ 語", "", "  spaces  ", "x" * 200_000, "tab\there", "a\x1eb\x1fc"]

    def speak():
        for text in texts:
            print(text)

    get({"x": (speak,)}, "x")
    out, _ = capsys.readouterr()
    assert "".join(line for _, line in shown(out)) == "".join(texts)


def test_bytes_that_are_no_text_are_shown_somehow_and_harm_nothing(capsys):
    def write():
        os.write(1, bytes(range(256)) + b"\n")
        sys.stdout.buffer.write(b"\xff\xfe\n")
        sys.stdout.buffer.flush()
        return 5

    assert get({"x": (write,)}, "x") == 5
    out, _ = capsys.readouterr()
    assert "ABCDEF" in out and "\ufffd" in out
    get({"x": (print, "after")}, "x")
    assert ("'x'", "after") in shown(capsys.readouterr().out)


def test_very_much_output_holds_nobody_up(capsys):
    def flood():
        for number in range(3_000):
            print(number)

    get({("x", side): (flood,) for side in range(2)}, [("x", 0), ("x", 1)])
    out, _ = capsys.readouterr()
    for key in ["('x', 0)", "('x', 1)"]:
        assert [int(line) for of, line in shown(out) if of == key] == list(range(3_000))


def test_warnings_and_logs_of_tasks_are_shown(capsys):
    def warn():
        import logging

        warnings.warn("a warning of a task", stacklevel=1)
        logging.getLogger("task").warning("a log of a task")

    get({"x": (warn,)}, "x")
    _, err = capsys.readouterr()
    assert "a warning of a task" in err and "a log of a task" in err
    assert {key for key, _ in shown(err)} == {"'x'"}


def test_what_a_task_replaced_of_its_output_is_its_own_business(capsys):
    def redirect():
        import contextlib
        import io

        with contextlib.redirect_stdout(io.StringIO()) as file:
            print("caught")
        return file.getvalue()

    assert get({"x": (redirect,)}, "x") == "caught\n"
    assert capsys.readouterr().out == ""


def test_a_thread_of_a_task_may_write(capsys):
    def speak():
        import threading

        thread = threading.Thread(target=print, args=("from a thread",))
        thread.start()
        thread.join()

    get({"x": (speak,)}, "x")
    assert [line for _, line in shown(capsys.readouterr().out)] == ["from a thread"]


def test_the_streams_of_a_task_are_as_usual():
    def ask():
        return (
            sys.stdin.read(),
            subprocess.run(["cat"], capture_output=True).stdout,
            sys.stdout.isatty(),
            sys.stdout.fileno(),
            sys.stderr.fileno(),
            sys.stdout.encoding.lower(),
            sys.stdout.writable(),
        )

    assert get({"x": (ask,)}, "x") == ("", b"", False, 1, 2, "utf-8", True)


def test_without_log_to_driver_nothing_is_shown_and_last_words_are_kept(capfd):
    def speak():
        print("spoken")
        os.write(2, b"written\n")

    def die():
        print("last words")
        os._exit(1)

    with cluster(num_workers=1, log_to_driver=False):
        get({"x": (speak,)}, "x")
        with pytest.raises(WorkerLostError, match="last words"):
            get({"x": (die,)}, "x")
    assert capfd.readouterr() == ("", "")


def test_what_is_written_between_tasks_is_shown(capsys):
    def later():
        import threading

        # It writes when the task has ended, as a library's thread may.
        threading.Timer(0.05, print, args=("late",)).start()

    get({"x": (later,)}, "x")
    seen = []

    def is_shown():
        seen.extend(shown(capsys.readouterr().out))
        return seen

    until(is_shown)
    assert [line for _, line in seen] == ["late"]
    assert worker_pids()
