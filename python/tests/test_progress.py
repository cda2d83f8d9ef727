"""Progress, in a pretended terminal and in a pretended notebook."""

import os
import re
import subprocess
import sys
import types

import pytest

import mobula
import mobula.dask

pty = pytest.importorskip("pty")

PROGRAM = """
import sys, threading
import mobula, mobula.dask
gate = threading.Event()
def wait(x):
    gate.wait()
    return x
def go():
    sys.stdin.readline()
    gate.set()
graph = {("load", i): (int, i) for i in range(20)}
graph |= {("slow", i): (wait, ("load", i)) for i in range(20)}
graph["total"] = (sum, [("slow", i) for i in range(20)])
mobula.init(num_cpus=2)
threading.Thread(target=go, daemon=True).start()
with mobula.progress():
    print(mobula.dask.get(graph, "total"))
    try:
        mobula.dask.get({"wrong": (int, "x")}, "wrong")
    except ValueError:
        pass
"""


def shown(size, **environment):
    """What the program shows in a terminal of this size. Its tasks go on when some of it was shown."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    columns, rows = size
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", **environment},
        text=True,
    )
    os.close(theirs)
    text, has_gone_on = "", False
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # So Linux tells that nobody writes any more.
            break
        if not piece:
            break
        text += piece.decode()
        if "slow" in text and not has_gone_on:
            has_gone_on = True
            process.stdin.write("go\n")
            process.stdin.flush()
    os.close(ours)
    out, _ = process.communicate()
    assert (process.returncode, out) == (0, "190\n"), text
    return text


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_runs_are_drawn_while_they_go_on_and_told_when_they_end():
    text = plain(shown((100, 30)))
    drawn, end = text.split(" done: ", 1)
    assert "2 running" in drawn
    assert re.search(r"load +\S* *\d+/20|load.*20/20", drawn), drawn
    assert re.search(r"slow.* 0/20", drawn), drawn
    assert end.startswith("41 tasks in "), end
    assert "failed" in end and "invalid literal" in end


def test_a_narrow_terminal_gets_narrow_lines():
    # Lines are filled with spaces up to the end of the terminal's, so each begins behind as many columns.
    drawn = [line for line in re.split(r"[\r\n]+", plain(shown((40, 10)))) if "slow" in line]
    assert drawn
    for line in drawn:
        rows = [line[at : at + 40] for at in range(0, len(line), 40)]
        words = [row.split()[0] for row in rows if row.strip()]
        assert words == ["run", "load", "slow", "total"], line


def test_colours_are_left_out_where_they_are_not_wanted():
    color = re.compile(r"\x1b\[3\dm")
    assert color.search(shown((100, 30), CLICOLOR_FORCE="1"))
    assert not color.search(shown((100, 30), NO_COLOR="1"))


def test_without_a_terminal_nothing_is_written():
    command = [sys.executable, "-c", PROGRAM]
    process = subprocess.run(command, input="go\n", capture_output=True, text=True)
    assert (process.returncode, process.stdout, process.stderr) == (0, "190\n", "")


def test_a_notebook_is_shown_html(monkeypatch):
    pieces = []

    class Handle:
        def update(self, html):
            pieces.append(html)

    def display(html, *, display_id):
        assert display_id is True
        pieces.append(html)
        return Handle()

    shell = types.SimpleNamespace(kernel=object())
    notebook = types.ModuleType("IPython")
    notebook.get_ipython = lambda: shell
    notebook.display = types.ModuleType("IPython.display")
    notebook.display.HTML = str
    notebook.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", notebook.display)
    mobula.dask.get({"before": (sum, [1])}, "before")
    with mobula.progress():
        mobula.dask.get({"x": (sum, [1, 2]), "y": (abs, "x")}, "y")
        mobula.dask.get({"z": (sum, [1, 2])}, "z", num_workers=3)
    assert "No run yet" in pieces[0]
    assert "2 tasks" in pieces[-1] and "1 task " in pieces[-1]
    assert pieces[-1].count(">done<") == 2
