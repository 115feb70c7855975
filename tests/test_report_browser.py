"""A report in headless Chromium: quiet console, no request, no script run, no scrolling sideways on a phone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_report import make_page

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",
    "--enable-logging=stderr",
]
PHONE = """<iframe src="page.html" width="360" height="800"></iframe><script>
addEventListener("load", () => {
  const page = frames[0].document, root = page.documentElement;
  document.title = JSON.stringify({
    wide: root.scrollWidth, seen: root.clientWidth, images: page.images.length,
    broken: [...page.images].filter(i => !i.naturalWidth || !i.alt).length,
    resources: frames[0].performance.getEntriesByType("resource")
      .map(r => r.name).filter(n => !n.startsWith("data:")),
    heading: page.querySelector("h1").textContent, scripts: page.scripts.length,
  });
});</script>"""


def browse(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """The page's DOM after it was loaded, and what Chromium logged."""
    command = [
        str(CHROMIUM),
        *QUIET,
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        (folder / name).as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def test_a_hostile_class_stays_text_and_nothing_is_fetched_or_wider_than_a_phone(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(make_page(), encoding="utf-8")
    (tmp_path / "phone.html").write_text(PHONE, encoding="utf-8")
    seen = browse(tmp_path, "phone.html")
    title = re.search(r"<title>(.*?)</title>", seen.stdout)
    assert title, seen.stderr[-2000:]
    found = json.loads(title[1].replace("&lt;", "<").replace("&gt;", ">"))
    assert found["heading"].startswith("<script>alert(1)</script>")
    assert found["scripts"] == 1
    assert found["resources"] == []
    assert found["images"] > 0
    assert found["broken"] == 0
    assert found["wide"] <= found["seen"]
    assert "CONSOLE" not in seen.stderr
