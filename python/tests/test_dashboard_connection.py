"""The dashboard's page and its server: foreign names, a connection that is lost and comes back, the end."""

import json
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import pytest
from browser import browser, needs_chromium, wait_until, watched
from dashboards import live, says

pytestmark = needs_chromium

#: A cluster in a process of its own, which does what each line says.
PROGRAM = """
import sys
from operator import add
import mobula, mobula.dask

mobula.init(num_cpus=1, dashboard=int(sys.argv[1]))
print(mobula.dashboard_url(), flush=True)
for line in sys.stdin:
    mobula.dask.get({"x": (add, 1, 1)}, "x")
    print("done", flush=True)
"""


class Cluster:
    """A program with a dashboard."""

    def __init__(self, port=0):
        command = [sys.executable, "-c", PROGRAM, str(port)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.url = self.process.stdout.readline().strip()
        self.port = int(self.url.split("/?")[0].rsplit(":", 1)[1])

    def run(self):
        """Have a graph run, and wait for its end."""
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@contextmanager
def cluster(port=0):
    started = Cluster(port)
    try:
        yield started
    finally:
        started.kill()


class Wire:
    """A line to a dashboard that can be cut. It says the dashboard's own name, as a tunnel does."""

    def __init__(self, port):
        self.port = port
        self.is_cut = False
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.own = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.is_cut:
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self.port))
            self.sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source, target):
        own, theirs = f"127.0.0.1:{self.own}".encode(), f"127.0.0.1:{self.port}".encode()
        try:
            while data := source.recv(1 << 16):
                target.sendall(data.replace(b"Host: " + own, b"Host: " + theirs))
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        self.is_cut = True
        for one in self.sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self.is_cut = False

    def close(self):
        self.listener.close()
        self.cut()
        for one in self.sockets:
            one.close()


@pytest.fixture
def wire():
    with cluster() as started:
        line = Wire(started.port)
        line.cluster = started
        line.url = started.url.replace(f":{started.port}/", f":{line.own}/")
        yield line
        line.close()


@pytest.fixture(scope="module")
def chrome():
    with browser() as opened:
        yield opened


@contextmanager
def unwatched(chrome):
    """A page that may complain: what it asks for is not there."""
    page = chrome.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield page
    finally:
        page.close()
    assert errors == []


def state(page, name):
    wait_until(page, f"document.querySelector('#connection').dataset.state === {json.dumps(name)}")


def test_a_site_whose_name_points_here_is_refused():
    with (
        cluster() as started,
        browser("--host-resolver-rules=MAP evil.example 127.0.0.1") as opened,
    ):
        page = opened.new_page()
        answer = page.goto(started.url.replace("127.0.0.1", "evil.example"))
        assert answer.status == 421
        assert "not the dashboard's" in page.inner_text("body")
        # Another site that knows the token may ask, but is not let to read the answer.
        page.route("http://other.example/", lambda route: route.fulfill(body="<p>elsewhere</p>"))
        page.goto("http://other.example/")
        read = "(url) => fetch(url).then((answer) => answer.text(), () => 'not let')"
        snapshot = started.url.replace("/?", "/api/snapshot?")
        assert page.evaluate(read, snapshot) == "not let"
        # Nor may it put the page into one of its own.
        page.evaluate(
            """(url) => new Promise((loaded) => {
                const frame = document.createElement("iframe");
                Object.assign(frame, { src: url, onload: loaded });
                document.body.append(frame);
            })""",
            started.url,
        )
        framed = page.frames[-1]
        assert framed.locator("#runs").count() == 0


def test_the_token_stays_on_the_page(chrome):
    with cluster() as started, watched(chrome) as page:
        referrers = []
        page.on("request", lambda request: referrers.append(request.headers.get("referer")))
        page.goto(started.url)
        live(page)
        assert referrers and not any(referrers)
        token = started.url.split("token=")[1]
        stored = "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])"
        assert token not in page.evaluate(stored)


def test_a_lost_connection_is_told_and_comes_back(chrome, wire):
    with unwatched(chrome) as page:
        page.goto(wire.url)
        live(page)
        wire.cluster.run()
        says(page, "#runs-list", "100 %")
        wire.cut()
        state(page, "lost")
        says(page, "[data-notice]", "The connection is lost.")
        assert page.title() == "connection lost · Mobula"
        # What was known stays.
        assert page.locator("[data-run]").count() == 1
        wire.cluster.run()
        wire.mend()
        page.locator("[data-notice] button").focus()
        page.keyboard.press("Enter")
        live(page)
        # What happened meanwhile is there.
        wait_until(page, "document.querySelectorAll('[data-run]').length === 2")
        assert page.locator("[data-notice]").count() == 0


def test_a_connection_comes_back_by_itself(chrome, wire):
    with unwatched(chrome) as page:
        page.goto(wire.url)
        live(page)
        wire.cut()
        state(page, "lost")
        wire.mend()
        live(page)


def test_the_next_program_on_the_port_does_not_let_the_page_in(chrome):
    with unwatched(chrome) as page, cluster() as first:
        page.goto(first.url)
        live(page)
        first.kill()
        state(page, "lost")
        with cluster(first.port) as second:
            assert second.port == first.port, "somebody else took the port"
            state(page, "refused")
            says(page, "[data-notice]", "The token is missing or wrong.")
