"""Sees to it that there is a Chromium for the tests of pages.

If none is installed, it comes from Debian's packages, where this is such a system and we may install some.
Where that cannot be, the tests of pages are skipped, except where `CI` is set: there they fail. Usage::

    python3 python/tools/browser.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def is_there() -> bool:
    """Tells whether a browser is installed, or named by `MOBULA_CHROMIUM`."""
    return bool(os.environ.get("MOBULA_CHROMIUM")) or any(map(shutil.which, NAMES))


def install() -> bool:
    """Installs the browser from Debian's packages; tells whether it is there then."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return False
    print("browser: installing chromium from Debian's packages", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
    for command in (["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            print(f"browser: this failed: {' '.join(command)}", file=sys.stderr)
    return is_there()


if __name__ == "__main__":
    if not is_there() and not install():
        print(
            "browser: there is no Chromium, so the pages are not tested;"
            " install one (Debian: chromium), or name it in MOBULA_CHROMIUM",
            file=sys.stderr,
        )
