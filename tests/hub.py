"""A stand-in for Hugging Face's hub on this machine, which has one data set: what its file system asks for."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

_COMMIT = "0a" * 20


def describe(file: Path, folder: Path) -> dict[str, object]:
    """An entry of the tree."""
    path = file.relative_to(folder).as_posix()
    if file.is_dir():
        return {"type": "directory", "oid": _COMMIT, "path": path, "size": 0}
    data = file.read_bytes()
    return {"type": "file", "oid": hashlib.sha1(data).hexdigest(), "path": path, "size": len(data)}


@contextmanager
def serve_hub(folder: Path, name: str, asked: list[str]) -> Iterator[str]:
    """A hub with a folder as the data set ``name``; its address, and in `asked` what it is asked for."""

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            asked.append(f"{path} {self.headers.get('Range', '')}".strip())
            if re.fullmatch(rf"/api/datasets/{name}(/revision/main)?", path):
                return self.answer(200, {"id": name, "sha": _COMMIT, "siblings": []})
            if found := re.fullmatch(rf"/api/datasets/{name}/tree/main/?(.*)", path):
                below = folder / found[1]
                files = below.rglob("*") if "recursive=true" in self.path.lower() else below.iterdir()
                return self.answer(200, [describe(file, folder) for file in sorted(files)])
            found = re.fullmatch(rf"/datasets/{name}/resolve/main/(.*)", path)
            if not found or not (folder / found[1]).is_file():
                return self.answer(404, {"error": "Repository not found"})
            data = (folder / found[1]).read_bytes()
            first, last = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups()  # type: ignore[union-attr]
            return self.answer(206, data[int(first) : int(last) + 1])

        def answer(self, status: int, content: object) -> None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
