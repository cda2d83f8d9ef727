"""Makes a virtual environment with Dask, the test requirements and Mobula, built from this tree.

Needs `python3` from 3.10 with pip, cargo and the package index; nothing else first. Usage::

    python3 python/tools/environment.py                  # target/python/newest
    python3 python/tools/environment.py --dask oldest    # target/python/oldest
    python3 python/tools/environment.py --dask bench     # target/python/bench: newest, and Ray

What is up to date is not touched: the environment is made again when its requirements or its Python
change, the wheel is built again when a source of it changes. The tests are run by others, with
`target/python/<name>/bin/python`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python"
TARGET = ROOT / "target" / "python"
OLDEST_PYTHON = (3, 10)
#: The requirements by the name that `--dask` takes.
REQUIREMENTS = {
    "newest": PACKAGE / "requirements-test.txt",
    "bench": PACKAGE / "requirements-bench.txt",
    "middle": PACKAGE / "tests" / "versions" / "middle.txt",
    "oldest": PACKAGE / "tests" / "versions" / "oldest.txt",
}
#: Cargo's profiles that Mobula may be built in.
PROFILES = ("wheel", "dev")
#: What the wheel is made of, relative to the root.
SOURCES = (
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "README.md",
    "src",
    "python/Cargo.toml",
    "python/README.md",
    "python/build.rs",
    "python/mobula",
    "python/pyproject.toml",
    "python/requirements-build.txt",
    "python/src",
)
#: What building and importing leaves among the sources.
NO_SOURCES = (".pyc", ".so", ".pyd")


class EnvironmentFailure(Exception):
    """Something is missing on this machine, or a step failed; the message says what to do."""


class Environment:
    """A virtual environment with pinned requirements."""

    def __init__(self, name: str, requirements: Path) -> None:
        self.directory = TARGET / name
        self.python = self.directory / "bin" / "python"
        self.requirements = requirements
        #: Says for which requirements and which Python the environment was made; written last.
        self.stamp = self.directory / "requirements.stamp"
        #: Says which wheel of Mobula is installed.
        self.package_stamp = self.directory / "package.stamp"

    def make(self) -> None:
        """Makes the environment, unless it is there with these requirements and this Python."""
        wanted = _digest(
            [sys.version.encode(), sys.base_prefix.encode(), self.requirements.read_bytes()]
        )
        if self.python.exists() and _read(self.stamp) == wanted:
            return
        _say(f"making {_short(self.directory)} from {_short(self.requirements)}")
        if self.directory.exists():
            shutil.rmtree(self.directory)
        self._make_empty()
        self.pip(
            # What is imported is compiled then; most of it never is.
            ["install", "--no-compile", "--requirement", str(self.requirements)],
            "installing the requirements",
        )
        self.stamp.write_text(wanted, encoding="utf-8")

    def install(self, wheel: Path) -> None:
        """Installs Mobula's wheel, unless that very wheel is installed."""
        wanted = f"{wheel.parent.parent.name}/{wheel.parent.name}"
        if _read(self.package_stamp) == wanted:
            return
        _say(f"installing {wheel.name} into {_short(self.directory)}")
        self.pip(
            ["install", "--no-deps", "--force-reinstall", str(wheel)], "installing Mobula's wheel"
        )
        self.package_stamp.write_text(wanted, encoding="utf-8")

    def pip(self, arguments: Sequence[str], purpose: str) -> None:
        """Runs the pip of the environment."""
        _run([str(self.python), "-m", "pip", "--quiet", *arguments], purpose)

    def _make_empty(self) -> None:
        """Makes it with pip alone in it; Debian's Python lacks the part that puts pip there."""
        if importlib.util.find_spec("venv") is None:
            raise EnvironmentFailure(
                f"{sys.executable} has no module `venv`: install it (Debian: python3-venv)"
            )
        command = [sys.executable, "-m", "venv", str(self.directory)]
        if importlib.util.find_spec("ensurepip") is not None:
            _run(command, "making a virtual environment")
        elif importlib.util.find_spec("pip") is not None:
            _run([*command, "--without-pip"], "making a virtual environment")
            pip = [
                sys.executable,
                "-m",
                "pip",
                "--quiet",
                "--python",
                str(self.python),
                "install",
                "pip",
            ]
            _run(pip, "installing pip (by a pip from 22.3)")
        else:
            raise EnvironmentFailure(
                f"{sys.executable} has neither `ensurepip` nor `pip`: "
                "install one (Debian: python3-venv or python3-pip)"
            )


def wheel(profile: str) -> Path:
    """Mobula's wheel of the present sources, built in that profile of Cargo's unless it is there."""
    if not (PACKAGE / "pyproject.toml").exists():
        raise EnvironmentFailure(f"{PACKAGE} holds no package: pyproject.toml is missing")
    directory = TARGET / "wheels" / profile / _digest(_source_contents())
    built = sorted(directory.glob("*.whl"))
    if built:
        return built[0]
    if shutil.which(os.environ.get("CARGO", "cargo")) is None:
        raise EnvironmentFailure(
            "cargo is missing: install Rust (https://rustup.rs), then run this again"
        )
    build = Environment("build", PACKAGE / "requirements-build.txt")
    build.make()
    _say(f"building Mobula's wheel in Cargo's profile `{profile}`")
    shutil.rmtree(directory.parent, ignore_errors=True)
    unfinished = TARGET / "wheels" / profile / "unfinished"
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(unfinished)]
    options += ["--config-settings", f"build-args=--profile={profile}"]
    # maturin finds itself, and Cargo's settings, by the path.
    os.environ["PATH"] = os.pathsep.join([str(build.python.parent), os.environ.get("PATH", "")])
    build.pip(["wheel", *options, str(PACKAGE)], "building Mobula's wheel")
    unfinished.rename(directory)
    return next(directory.glob("*.whl"))


def _source_contents() -> Iterator[bytes]:
    """Names and contents of all files that the wheel is made of, in a fixed order."""
    for source in SOURCES:
        path = ROOT / source
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and file.suffix not in NO_SOURCES:
                yield str(file.relative_to(ROOT)).encode()
                yield file.read_bytes()


def _digest(contents: Sequence[bytes] | Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _say(text: str) -> None:
    print(f"environment: {text}", flush=True)


def _run(command: Sequence[str], purpose: str) -> None:
    environment = {
        **os.environ,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_REQUIRE_VIRTUALENV": "0",
    }
    # Such a variable would lead pip into another environment.
    environment.pop("PYTHONHOME", None)
    result = subprocess.run(command, env=environment, check=False)
    if result.returncode != 0:
        raise EnvironmentFailure(f"{purpose} failed: {' '.join(command)}")


def main() -> int:
    """Reads the command line and makes the environment; answers the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--dask",
        choices=sorted(REQUIREMENTS),
        default="newest",
        help="which Dask to install; with `bench` the newest, and its peers",
    )
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default=PROFILES[0],
        help="the profile of Cargo's in which Mobula is built: `wheel` as users have it, or `dev`, "
        "as the crate's own tests",
    )
    parser.add_argument(
        "--without-mobula", action="store_true", help="leave out Mobula: a Dask to compare with"
    )
    arguments = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        parser.error(
            f"Python {sys.version.split()[0]} is too old: give one from 3.10 (make PYTHON=...)"
        )
    environment = Environment(arguments.dask, REQUIREMENTS[arguments.dask])
    try:
        environment.make()
        if not arguments.without_mobula:
            environment.install(wheel(arguments.profile))
    except EnvironmentFailure as failure:
        print(f"environment: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
