"""The programs in the two READMEs run, and print what stands behind their `print` calls."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent
READMES = "".join(
    (folder / "README.md").read_text(encoding="utf-8") for folder in (PACKAGE, PACKAGE.parent)
)
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", READMES, re.MULTILINE | re.DOTALL)


def test_there_are_programs():
    assert len(PROGRAMS) == READMES.count("```python")
    assert len(PROGRAMS) >= 6


@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_program(number, tmp_path):
    program = PROGRAMS[number]
    promised = re.findall(r"^ *print\(.*\)  # (.+)$", program, re.MULTILINE)
    assert len(promised) == len(re.findall(r"\bprint\(", program)), "each print says what it prints"
    command = [sys.executable, "-W", "error", "-c", program]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines() == promised
    # Where the dashboard is, and that a worker process was lost, is said on the standard error output.
    said = ""
    if "dashboard=True" in program:
        said += r"mobula: the dashboard is at http://127\.0\.0\.1:\d+/\?token=\w+\n"
    if "os._exit" in program:
        said += r"(a worker process .+; another one takes its place\n)+"
    assert re.fullmatch(said, process.stderr), process.stderr
