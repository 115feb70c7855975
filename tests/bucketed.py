"""A bucket on this machine, behind a proxy that counts requests and loses some; and a machine that writes to it."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stub import TRUNK, StubBackend, center, run_stub, train
from zoo import list_manifest

from fixgrid.cache.mirror import open_folder
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import View
from fixgrid.embed import plan, portion
from fixgrid.embed.extraction import Extraction

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hidden", "AWS_DEFAULT_REGION": "us-east-1"}


class Slow(StubBackend):
    """The stub, which takes its time."""

    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        time.sleep(float(os.environ["PAUSE_S"]))
        return super().__call__(pixels)


def open_slow(views: Sequence[View]) -> Callable[[View], StubBackend]:
    """What `run_pass` calls."""
    return Slow


def write(data: str, cache: str, part: str) -> int:
    """Extract all images, or a part of them; how many were decoded."""
    portion.MIN_ROWS = plan.MIN_SHARD_ROWS = 8
    index, _, count = part.partition("/")
    mine = portion.Portion(int(index), int(count)) if part else None
    manifest = list_manifest(Path(data), {split: split for split in ("train", "val", "test")})
    views = {"train": [train(8), center(8)], "val": [center(8)], "test": [center(8)]}
    extraction = Extraction(FeatureStore(open_folder(cache)), manifest, TRUNK, views)
    return run_stub(extraction, open_slow, portion=mine).decoded


class _Handler(BaseHTTPRequestHandler):
    """Passes a request on, unless it is to fail."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def log_message(self, *args: object) -> None:
        """Nothing is printed."""

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.path))
        fault = self.server.fault(self.command, self.path)
        if fault == "cut":
            self.close_connection = True
            return
        if fault:
            answer = (
                f"<Error><Code>{'SlowDown' if fault == 503 else 'AccessDenied'}</Code><Message>no</Message></Error>"
            )
            self._answer(fault, {}, answer.encode())
            return
        onward = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        onward.request(self.command, self.path, body, headers)
        answered = onward.getresponse()
        content = answered.read()
        kept = {k: v for k, v in answered.getheaders() if k.lower() not in ("transfer-encoding", "connection")}
        self._answer(answered.status, kept, content)
        onward.close()

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        length = headers.pop("Content-Length", None) or headers.pop("content-length", None) or str(len(content))
        for name, value in {**headers, "Content-Length": length}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - http.server's names


class Proxy(ThreadingHTTPServer):
    """Before a server's port: what was asked of it, and a function that may have a request fail (503, 403, cut)."""

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.requests: list[tuple[str, str]] = []
        self.fault: Callable[[str, str], object] = lambda method, path: None

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to know of it."""
        return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_address[1]}", **KEYS}

    def count(self, method: str, part: str = "") -> int:
        """Requests of a method whose path holds a text."""
        return sum(one == method and part in path for one, path in self.requests)


@contextmanager
def serve_bucket() -> Iterator[Proxy]:
    """A bucket called ``bucket``, empty, for as long as this lasts."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = Proxy(server.get_host_and_port()[1])
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
        server.stop()


def start_writer(
    proxy: Proxy, mirror: Path, data: Path, cache: str, part: str = "", pause: float = 0.0
) -> subprocess.Popen[str]:
    """An extraction on a machine of its own: nothing but the bucket and the images is shared."""
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent)])
    told = {"FIXGRID_MIRROR": str(mirror), "PYTHONPATH": paths, "PAUSE_S": str(pause)}
    script = "import sys, bucketed; print(bucketed.write(*sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", script, str(data), cache, part],
        env={**os.environ, **proxy.environment, **told},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
