"""A report in headless Chromium: quiet console, no request, no script run, no scrolling sideways on a phone."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

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

SORT = """<iframe src="page.html" width="360" height="800"></iframe><script>
addEventListener("load", () => {
  const page = frames[0].document, root = page.documentElement;
  const tables = [...page.querySelectorAll("table.sorts")];
  const table = tables.find(t => t.tHead.rows[0].cells[0].textContent === "class");
  const heads = [...table.tHead.rows[0].cells];
  const read = at => [...table.tBodies[0].rows].map(r => r.cells[at].textContent.trim());
  const found = {rows: read(0).length, before: read(0), buttons: heads.map(h => h.firstChild.tagName)};
  const click = at => { heads[at].firstChild.click(); return heads.map(h => h.getAttribute("aria-sort")); };
  found.up = click(2); found.ascending = read(2);
  found.down = click(2); found.descending = read(2);
  found.named = click(0); found.names = read(0);
  heads[1].firstChild.focus();
  found.focused = page.activeElement === heads[1].firstChild;
  found.wide = root.scrollWidth; found.seen = root.clientWidth;
  document.title = JSON.stringify(found);
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


def read_title(folder: Path, page: str, name: str, driver: str) -> tuple[dict[str, Any], str]:
    """What a page that drives ``page`` in a frame put into its title, and what Chromium logged."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    (folder / name).write_text(driver, encoding="utf-8")
    seen = browse(folder, name)
    title = re.search(r"<title>(.*?)</title>", seen.stdout)
    assert title, seen.stderr[-2000:]
    return json.loads(html.unescape(title[1])), seen.stderr


def test_a_hostile_class_stays_text_and_nothing_is_fetched_or_wider_than_a_phone(tmp_path: Path) -> None:
    found, logged = read_title(tmp_path, make_page(), "phone.html", PHONE)
    assert found["heading"].startswith("<script>alert(1)</script>")
    assert found["scripts"] == 1
    assert found["resources"] == []
    assert found["images"] > 0
    assert found["broken"] == 0
    assert found["wide"] <= found["seen"]
    assert "CONSOLE" not in logged


def test_121_classes_are_sorted_by_any_column_and_fit_a_phone(tmp_path: Path) -> None:
    found, logged = read_title(tmp_path, make_page(117), "sort.html", SORT)
    assert found["rows"] == 121
    assert found["buttons"] == ["BUTTON"] * 4
    assert found["focused"]
    assert found["up"] == [None, None, "ascending", None]
    assert found["down"] == [None, None, "descending", None]
    assert found["named"] == ["ascending", None, None, None]
    numbers = [int(text) for text in found["ascending"]]
    assert numbers == sorted(numbers)
    assert [int(text) for text in found["descending"]] == sorted(numbers, reverse=True)
    assert sorted(found["names"]) == sorted(found["before"])
    assert found["names"] != found["before"]
    breeds = [name for name in found["names"] if "breed" in name]
    assert breeds == sorted(breeds)
    assert found["wide"] <= found["seen"]
    assert "CONSOLE" not in logged
