"""A bucket on this machine: moto behind a proxy that counts, delays, refuses and cuts answers."""

from __future__ import annotations

import http.client
import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

NAME = "photos"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "hidden", "AWS_DEFAULT_REGION": "us-east-1"}
SIGNED = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
REFUSALS = {"refuse": (503, "SlowDown", "Please slow down."), "deny": (403, "AccessDenied", "no")}
OWN_HEADERS = ("transfer-encoding", "connection", "content-length")


class Bucket:
    """What lies at `url`, and how its server behaves.

    Attributes
    ----------
    asked : Counter
        Of "list", "head", "get" (of an object) and other methods since `clear`.
    requests : list of (str, str)
        Their methods and paths.
    faults : deque of str
        What comes of the next objects that are read: "refuse" (503), "deny" (403), "drop" (no answer), "cut" (in
        mid-body), "short" (the same, by a server that did not say how much there is), "hang" (a second, then cut)
        or "" (all of it).
    fault : callable
        The same of any other request, by its method and path.
    latency_s : float
        Added to every answer.
    """

    def __init__(self, store: tuple[str, int]) -> None:
        self.store, self.url = store, ""
        self.asked: Counter[str] = Counter()
        self.requests: list[tuple[str, str]] = []
        self.faults: deque[str] = deque()
        self.fault: Callable[[str, str], str] = lambda method, path: ""
        self.latency_s = 0.0
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to know."""
        return {"AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_DISABLED": "true", **KEYS}

    def put(self, key: str, data: bytes) -> None:
        """An object, put past the proxy."""
        self._send("PUT", key, data)

    def put_folder(self, folder: Path, key: str) -> None:
        """All files of a folder."""
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            self.put(f"{key}/{file.relative_to(folder)}", file.read_bytes())

    def create(self) -> None:
        """Have it, empty."""
        self._send("PUT", "")

    def _send(self, method: str, key: str, data: bytes = b"") -> None:
        link = http.client.HTTPConnection(*self.store)
        link.request(method, f"/{NAME}/{quote(key)}", data, {"Authorization": SIGNED})
        answer = link.getresponse()
        assert answer.status == 200, answer.read()
        link.close()

    def clear(self) -> None:
        """Count anew."""
        self.asked.clear()
        self.requests.clear()

    def count(self, method: str, part: str = "") -> int:
        """Requests of a method whose path holds a text."""
        return sum(one == method and part in path for one, path in self.requests)

    def take_fault(self, method: str, path: str) -> str:
        """What comes of a request."""
        at = urlsplit(path)
        listing = method == "GET" and ("/" not in at.path.strip("/") or "list-type" in at.query)
        kind = "list" if listing else method.lower()
        with self.lock:
            self.asked[kind] += 1
            self.requests.append((method, path))
            return self.faults.popleft() if kind == "get" and self.faults else self.fault(method, path)


def make_handler(bucket: Bucket) -> type[BaseHTTPRequestHandler]:
    """What answers for a bucket."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = bucket.take_fault(self.command, self.path)
            with bucket.lock:
                bucket.busy += 1
                bucket.most_busy = max(bucket.most_busy, bucket.busy)
            time.sleep(bucket.latency_s + (fault == "hang"))
            with bucket.lock:
                bucket.busy -= 1
            if fault in REFUSALS:
                status, code, said = REFUSALS[fault]
                text = f"<Error><Code>{code}</Code><Message>{said}</Message></Error>"
                return self.answer(status, {}, text.encode())
            self.close_connection = bool(fault)
            if fault == "drop":
                return None
            link = http.client.HTTPConnection(*bucket.store, timeout=30)
            kept = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            link.request(self.command, self.path, body, kept)
            reply = link.getresponse()
            data, headers = reply.read(), dict(reply.headers)
            link.close()
            return self.answer(reply.status, headers, data, fault)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815

        def answer(self, status: int, headers: dict[str, str], data: bytes, fault: str = "") -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in OWN_HEADERS:
                    self.send_header(name, value)
            length = headers.get("Content-Length", len(data)) if self.command == "HEAD" else len(data)
            if fault != "short":
                self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data[: len(data) // 2] if fault else data)

    return Handler


@contextmanager
def serve_bucket() -> Iterator[Bucket]:
    """An empty bucket; keys and the place of its server are in the environment meanwhile."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    bucket = Bucket(moto.get_host_and_port())
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(bucket))
    proxy.daemon_threads = True
    proxy.handle_error = lambda *_: None  # type: ignore[method-assign]  # of who is gone
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    bucket.url = f"http://127.0.0.1:{proxy.server_port}"
    before = dict(os.environ)
    os.environ.update(bucket.environment)
    try:
        bucket.create()
        yield bucket
    finally:
        os.environ.clear()
        os.environ.update(before)
        proxy.shutdown()
        proxy.server_close()
        moto.stop()
