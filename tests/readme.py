"""`make readme`: runs what README.md shows, from top to bottom, and puts what it printed in place.

An indented block whose lines begin with ``$ `` is made: each command runs, and its output takes the place of what
stood below it. A comment before a block, a table, a picture or a line says more, a key and a value a line::

    <!-- made
    prepare: CMD  run before, not shown; may be repeated, and may stand without a block
    env: A=B      for the commands of this block
    exit: 2       expected; of what fails, what it says on stderr is shown
    both: yes     stderr is shown as well
    run: CMD      is run in place of the command that is shown, or shows its output without a command
    keep: REGEX   of the lines below a header only these are shown, `...` for what is left out behind them
    drop: REGEX   these are left out without a word, as progress is unless `keep` names it
    long: DATE    made on that day; run again only by `make readme ALL=1`
    table: NAME   a Markdown table that a function here makes
    picture: PAGE WIDTHxHEIGHT FILE
    day: yes      the next line says when and where all this was made
    -->

``<!-- by hand: REASON -->`` is for what no command makes. What cannot be made here stays as it was, and is named.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
KEYS = ("prepare", "env", "exit", "both", "run", "keep", "drop", "long", "table", "picture", "day")
PROGRESS = r"^(loading|looking|hashing|extracting|fitting|comparing|scoring|drawing|sealing|writing|making) "
HEADER = 2  # lines of a table's head, and its rule


@dataclass
class Piece:
    """Lines of the README that belong together: a block of code, a table, or any others; and what is said of them.

    Attributes
    ----------
    kind : {"text", "block", "fence", "table"}
    line : int
        Number of the first, from 1.
    rules : dict of str to list of str
        From the comment before it.
    by_hand : bool
    """

    kind: str
    line: int
    lines: list[str]
    rules: dict[str, list[str]] = field(default_factory=dict)
    by_hand: bool = False

    @property
    def commands(self) -> list[str]:
        """What it shows being typed."""
        return [line[6:] for line in self.lines if line.startswith("    $ ")] if self.kind == "block" else []

    @property
    def has_output(self) -> bool:
        """Whether a block shows more than commands to type."""
        typed = re.compile(r"    (\$ |python |make |bash |pip |\. )|$")
        return self.kind == "block" and not all(typed.match(line) for line in self.lines)

    def get(self, key: str) -> str:
        """The first value of a rule; empty without one."""
        return self.rules.get(key, [""])[0]


def split_text(text: str) -> list[Piece]:
    """The README as pieces, which joined give it again."""
    pieces: list[Piece] = []
    lines, at, rules, by_hand = text.splitlines(), 0, {}, False
    while at < len(lines):
        start, kind = at, _tell_kind(lines, at)
        at += 1
        if kind == "fence":
            at = lines.index("```", at) + 1
        elif kind == "comment":
            at = next(i for i in range(start, len(lines)) if lines[i].endswith("-->")) + 1
        elif kind != "text":
            while at < len(lines) and (
                _tell_kind(lines, at) == kind or (kind == "block" and not lines[at] and _goes_on(lines, at))
            ):
                at += 1
        mine = lines[start:at]
        if kind == "comment":
            found = _read_comment("\n".join(mine))
            rules, by_hand = found if found else (rules, by_hand)
            pieces.append(Piece("text", start + 1, mine))
        elif not mine[0]:
            pieces.append(Piece("text", start + 1, mine))
        else:
            pieces.append(Piece(kind, start + 1, mine, rules, by_hand))
            rules, by_hand = {}, False
    return pieces


def _tell_kind(lines: Sequence[str], at: int) -> str:
    line = lines[at]
    if line.startswith("```"):
        return "fence"
    if line.startswith("<!--"):
        return "comment"
    return "block" if line.startswith("    ") else "table" if line.startswith("|") else "text"


def _goes_on(lines: Sequence[str], at: int) -> bool:
    return next((line.startswith("    ") for line in lines[at:] if line), False)


def _read_comment(text: str) -> tuple[dict[str, list[str]], bool] | None:
    if text.startswith("<!-- by hand: "):
        return {}, True
    if not text.startswith("<!-- made"):
        return None
    rules: dict[str, list[str]] = {}
    for line in text.removeprefix("<!-- made").removesuffix("-->").strip().splitlines():
        key, colon, value = line.partition(": ")
        if not colon or key not in KEYS:
            raise ValueError(f"found {line!r} in a comment; expected one of {', '.join(KEYS)}, and a value")
        rules.setdefault(key, []).append(value)
    return rules, False


def shorten(lines: Sequence[str], keep: str) -> list[str]:
    """The header of an output and the lines that ``keep`` matches, ``...`` for what is left out between them.

    What is wrapped goes with the line above it.
    """
    if not keep:
        return list(lines)
    header = HEADER if len(lines) > 1 and set(lines[1].strip()) == {"-"} else 0
    shown, kept = list(lines[:header]), False
    for line in lines[header:]:
        wrapped = line.startswith("  ") and not lines[0].startswith(" ")
        kept = kept if wrapped else re.search(keep, line) is not None
        if kept:
            shown.append(line)
        elif shown and shown[-1] != "...":
            shown.append("...")
    return shown


def drop(lines: Sequence[str], unwanted: str) -> list[str]:
    """The lines that ``unwanted`` does not match; what is wrapped goes with the line above it."""
    left: list[str] = []
    gone = False
    for line in lines:
        gone = (gone and line.startswith("  ")) or re.search(unwanted, line) is not None
        left += [] if gone else [line]
    while left and not left[-1]:
        left.pop()
    return left


class Workshop:
    """A folder where commands are typed as in a clone beside ``shared``, and what is typed there.

    Parameters
    ----------
    folder : Path
        Empty.
    shared : Path
        Shown as ``../shared``.
    """

    def __init__(self, folder: Path, shared: Path) -> None:
        self.place = folder / "fixgrid"
        self.place.mkdir()
        (folder / "shared").symlink_to(shared)
        for name in ("cli.py", "fixgrid", "cache", "embed", "heads", "tests"):
            (self.place / name).symlink_to(ROOT / name)

    def type(self, command: str, env: Mapping[str, str], *, both: bool) -> tuple[int, list[str]]:
        """Exit code and lines printed: stdout, stderr as well if ``both`` or if it failed."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("FIXGRID_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{own['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.place,
            env={**own, "PATH": path, "COLUMNS": "80", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if both else subprocess.PIPE,
            text=True,
            check=False,
        )
        said = done.stdout if both or not done.returncode else done.stdout + done.stderr
        return done.returncode, said.rstrip("\n").splitlines()


class NotMade(Exception):  # noqa: N818 - an outcome
    """Why a piece stays as it was."""


def make_piece(piece: Piece, shop: Workshop, today: str) -> list[str]:
    """The lines of a piece, made anew.

    Raises
    ------
    NotMade
    """
    env = dict(pair.split("=", 1) for pair in piece.rules.get("env", []))
    for command in piece.rules.get("prepare", []):
        _run(shop, command, env, 0)
    if piece.get("day"):
        return [describe_day(today)]
    if piece.get("table"):
        return TABLES[piece.get("table")](shop)
    if piece.get("picture"):
        take_picture(shop, *piece.get("picture").split())
        return piece.lines
    made: list[str] = []
    for shown in piece.commands or [""] * bool(piece.get("run")):
        expected = int(piece.get("exit") or 0)
        said = _run(shop, piece.get("run") or shown, env, expected, both=bool(piece.get("both")))
        keep, unwanted = piece.get("keep"), piece.rules.get("drop", [])
        said = drop(said, "|".join([*unwanted, *[PROGRESS] * ("extracting" not in keep)]) or "(?!)")
        made += [*[f"$ {shown}"] * bool(shown), *shorten(said, keep)]
    return [f"    {line}".rstrip() for line in made] if made else piece.lines


def _run(shop: Workshop, command: str, env: Mapping[str, str], expected: int, both: bool = False) -> list[str]:
    for path in re.findall(r"\.\./shared/[\w./-]*", command):
        if not (shop.place / path).exists():
            raise NotMade(f"there is no {path}")
    code, said = shop.type(command, env, both=both)
    if code != expected:
        raise NotMade(f"{command}: exit {code}, {' '.join(said[-1:])}")
    return said


def describe_day(today: str) -> str:
    """When and where: ``Figures of 2026-11-27: 2 cores, no GPU.``"""
    gpu = "with a GPU" if shutil.which("nvidia-smi") else "no GPU"
    return f"Figures of {today}: {len(os.sched_getaffinity(0))} cores of {_name_processor()}, {gpu}."


def _name_processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1].strip() if found else platform.machine()


def take_picture(shop: Workshop, page: str, size: str, file: str) -> None:
    """The top of a page as PNG, by Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise NotMade("there is no chromium")
    width, _, height = size.partition("x")
    made = shop.place / "picture.png"
    words = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}"]
    subprocess.run([chromium, *words, f"--screenshot={made}", (shop.place / page).as_uri()], check=True,
                   capture_output=True)  # fmt: skip
    with Image.open(made) as shot:
        shot.convert("RGB").quantize(256).save(ROOT / file, optimize=True)


def make_gap_table(shop: Workshop) -> list[str]:
    """Test accuracy of every kind of head by every correction, from 128 to 320 px."""
    words = "grid --data ../shared/data/dogs --pairs 128:320 --heads all --gap all --format csv"
    cells = list(csv.DictReader(io.StringIO("\n".join(_run(shop, f"python cli.py {words}", {}, 0)))))
    names = list(dict.fromkeys(cell["correction"] for cell in cells))
    value = {(cell["family"], cell["correction"]): f"{100 * float(cell['test']):.2f}" for cell in cells}
    families = dict.fromkeys(cell["family"] for cell in cells)
    rows = [["128 px -> 320 px", *names], *([one, *(value[one, name] for name in names)] for one in families)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [lines[0], f"|---|{'---:|' * len(names)}", *lines[1:]]


TABLES: dict[str, Callable[[Workshop], list[str]]] = {"gap": make_gap_table}


def make_text(text: str, shop: Workshop, *, everything: bool, only: str = "") -> tuple[str, list[str]]:
    """The README anew, and a line for each piece that stays as it was."""
    today, made, left = time.strftime("%Y-%m-%d"), [], []
    for piece in split_text(text):
        lines = piece.lines
        if (piece.rules or piece.commands) and not piece.by_hand and re.search(only, "\n".join(lines)):
            began, named = time.monotonic(), f"line {piece.line}: {(piece.commands or lines)[0].strip()[:60]}"
            try:
                if piece.get("long") and not everything:
                    raise NotMade(f"long; it is of {piece.get('long')}: make readme ALL=1")
                lines = make_piece(piece, shop, today)
                print(f"{time.monotonic() - began:6.1f} s  {named}", file=sys.stderr, flush=True)
            except NotMade as reason:
                left.append(f"{named}: left as it was: {reason}")
                print(left[-1], file=sys.stderr, flush=True)
            else:
                if piece.get("long"):
                    _date_comment(made, today)
        made += lines
    return "\n".join(made) + "\n", left


def _date_comment(made: list[str], today: str) -> None:
    """Set the day in the comment that ends the lines made so far."""
    at = max(i for i, line in enumerate(made) if line.startswith("long: "))
    made[at] = f"long: {today}"


def main() -> int:
    """Write README.md anew."""
    parser = argparse.ArgumentParser(description="Make README.md's outputs, tables and pictures anew.")
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "README.md")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder with data/dogs, ...")
    parser.add_argument("--all", action="store_true", help="also what takes long")
    parser.add_argument("--only", default="", help="pieces that match this expression alone")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fixgrid-readme-") as folder:
        shop = Workshop(Path(folder), asked.shared.resolve())
        text, left = make_text(asked.file.read_text("utf-8"), shop, everything=asked.all, only=asked.only)
    asked.file.write_text(text, "utf-8")
    return int(any("exit" in line for line in left))


if __name__ == "__main__":
    sys.exit(main())
