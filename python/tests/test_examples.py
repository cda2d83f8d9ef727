"""Every example runs and prints what its docstring says, behind "Prints".

A line `...` there stands for any lines; times, measured figures and random keys may differ.
"""

import ast
import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))

RULES = [
    # The random part of a key that Dask made up.
    (re.compile(r"-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "-#"),
    # A time with its unit, as `0.5s` or `33.4 ms`.
    (re.compile(r"(?<![\w.])\d+(\.\d+)?(e-\d+)? ?(s|ms|us)\b"), "#"),
    # A figure of the summary at the end that depends on the machine.
    (re.compile(r"^(\w+_ms|workers|cache_hits|answered_share|peak_rss_mib)=.*"), r"\1=#"),
]


def test_there_are_examples():
    assert {"dask_on_ray", "timer_callback", "presubmit_callback", "simple_cache", "flights"} <= {
        path.stem for path in EXAMPLES
    }


def apart(lines):
    """Undo what two threads do that print at once: `print` writes a line and its end one after the other."""
    mixed = re.compile(r"(?<=s)(Execution time for [^\n]*)\n\n")
    return mixed.sub(r"\n\1\n", "\n".join(lines)).splitlines()


def test_lines_that_were_printed_at_once_are_told_apart():
    one, two = "Execution time for task a: 0.1s", "Execution time for task b: 0.2s"
    assert (
        apart([one + two, "", "result=5"])
        == apart([one, two, "result=5"])
        == [one, two, "result=5"]
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path):
    found = apart(run(path))
    expected = documented_output(path)
    assert matches(expected, found), "\n".join(
        ["the docstring promises", *expected, "", "but it prints", *found]
    )
    assert re.match(r"[a-z_]+=", found[-1]), "the last line must be name=value"


def test_flights_takes_a_directory(tmp_path):
    header = "year,month,day,carrier,origin,dest,dep_delay,arr_delay,air_time,distance\n"
    rows = ["2013,1,1,UA,EWR,IAH,2,11,227,1400\n", "2013,1,1,UA,EWR,IAH,,,,1400\n"]
    text = header + 150 * rows[0] + rows[1]
    (tmp_path / "2013-01.csv.gz").write_bytes(gzip.compress(text.encode()))
    found = run(FOLDER / "flights.py", str(tmp_path))
    assert "UA           151           11.000 min              2.000 min" in found
    assert "worst route: EWR-IAH, 151 flights, 11.000 min late on average" in found
    assert "flights=151" in found


def run(path, *arguments):
    """The lines that an example prints."""
    process = subprocess.run(
        [sys.executable, str(path), *arguments], capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stderr == "", "an example is silent but for what it shows"
    return process.stdout.splitlines()


def documented_output(path):
    """The indented block behind "Prints" in the docstring of an example."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, f"{path.name} says nothing about itself"
    _, _, text = docstring.partition("\nPrints")
    first, *lines = text.splitlines()
    assert first.endswith("::"), f"{path.name} does not show what it prints"
    block = []
    for line in lines[1:]:
        if line and not line.startswith("    "):
            break
        block.append(line[4:])
    while block and not block[-1]:
        block.pop()
    assert block
    return block


def matches(expected, found):
    """Whether these lines are those, but for what may differ."""
    if not expected:
        return not found
    first, *rest = expected
    if first == "...":
        return any(matches(rest, found[skip:]) for skip in range(len(found) + 1))
    return bool(found) and constant(first) == constant(found[0]) and matches(rest, found[1:])


def constant(line):
    """A line with `#` for whatever may differ, and one space between words."""
    for pattern, replacement in RULES:
        line = pattern.sub(replacement, line)
    return " ".join(line.split())


def test_what_is_measured_may_differ_and_nothing_else():
    def same(one, other):
        return constant(one) == constant(other)

    assert same("x took 0.5s, y 7 ms", "x took 12s, y   1.5 ms")
    assert same("task x: 3.1e-06s", "task x: 0.5s")
    assert same(
        "inc-4b2f0ec6-6a0c-46e8-a1f3-0d6cb2e6a1a2", "inc-" + "0" * 8 + "-0000" * 3 + "-" + "0" * 12
    )
    assert same("plain_ms=1", "plain_ms=2.5")
    assert not same("3 tasks", "4 tasks")
    assert not same("flights=1", "flights=2")
    assert not same("15.796 min", "15.797 min")
    assert not same("1s", "1")
    assert matches(["a", "...", "z"], ["a", "b", "c", "z"])
    assert not matches(["a", "...", "z"], ["a", "b"])
    assert not matches(["a"], ["a", "b"])
