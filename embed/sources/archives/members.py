"""What containers and their members stand for, by their names alone: splits, class folders, samples of one key."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from ..walk import Walk
from ..words import is_piece, read_split_name, read_split_word

_COUNT = re.compile(r"(?:^|[\W_]+)\d+(?:[\W_]+of[\W_]+\d+)?(?:-[0-9a-f]{8,})?$", re.IGNORECASE)  # 00000-of-00002
_GLUED = re.compile(r"\d+$")
_WIDTH = 8  # of a container's number in a made-up name


def name_groups(containers: Sequence[bytes]) -> list[str]:
    """What each container is a part of: its folder and name without the count, as far as they differ.

    >>> name_groups([b"d/train-000.tar", b"d/train-001.tar", b"d/val-000.tar"])
    ['train', 'train', 'val']
    >>> name_groups([b"0.tar", b"1.tar"]), name_groups([b"cat.zip", b"dog.zip"])
    (['', ''], ['cat', 'dog'])
    """
    parts = [[*_decode(name).split("/")[:-1], _drop_count(_decode(name))] for name in containers]
    parts = [[part for part in one if part] for one in parts]
    while parts and all(one[:1] == parts[0][:1] != [] for one in parts) and len({*map(tuple, parts)}) > 1:
        parts = [one[1:] for one in parts]
    several = len({*map(tuple, parts)}) > 1
    return ["/".join(one) if several or _say_split(one) else "" for one in parts]


def _say_split(parts: list[str]) -> bool:
    return bool(parts) and read_split_name(parts[-1]) is not None


def _drop_count(name: str) -> str:
    stem = posixpath.splitext(posixpath.basename(name))[0]
    plain = _COUNT.sub("", stem)
    glued = _GLUED.sub("", plain)
    return "" if is_piece(plain + "1") else glued if read_split_word(glued) else plain


def read_splits_of(groups: Sequence[str]) -> list[str]:
    """The split of each container, by its group; none if not all of them say one."""
    splits = [read_split_name(posixpath.basename(group)) or read_split_name(group) or "" for group in groups]
    return splits if all(splits) else [""] * len(splits)


def name_key(member: bytes) -> bytes:
    """What members of one sample have in common: all before the first dot of the name, as in WebDataset."""
    dot = member.find(b".", member.rfind(b"/") + 1)
    return member if dot < 0 else member[:dot]


def make_walk(groups: Sequence[str], images: Iterable[tuple[int, bytes]]) -> Walk:
    """Images as if their containers had been unpacked, those of a group into one folder.

    Parameters
    ----------
    groups : sequence of str
        Of each container.
    images : iterable of (int, bytes)
        The container's number, and the member.
    """
    above = [f"{group}/".encode("utf-8", "surrogateescape") if group else b"" for group in groups]
    made, folders = list[bytes](), set[bytes]()
    for number, member in images:
        folder, name = posixpath.split(above[number] + member)
        if folder not in folders:
            folders.update(_list_above(folder))
        # Where an image lies decides what it is, so its own name may say which container it is of.
        made.append(posixpath.join(folder, b"%0*d%s" % (_WIDTH, number, name)))
    made.sort()
    return Walk(made, sorted(folders), [])


def read_made(path: bytes, containers: Sequence[bytes], groups: Sequence[str]) -> bytes:
    """The path of an image of which `make_walk` made a name."""
    folder, name = posixpath.split(path)
    number = int(name[:_WIDTH])
    member = posixpath.join(folder, name[_WIDTH:])
    if groups[number]:
        member = member[len(groups[number].encode("utf-8", "surrogateescape")) + 1 :]
    return containers[number] + b"/" + member


def expand_braces(text: str) -> Iterator[str]:
    """The names that a text with braces stands for, as a shell has it.

    >>> list(expand_braces("x-{08..10}.tar")), list(expand_braces("{a,b}{1..2}"))
    (['x-08.tar', 'x-09.tar', 'x-10.tar'], ['a1', 'a2', 'b1', 'b2'])
    """
    found = re.search(r"\{([^{}]*)\}", text)
    if not found:
        yield text
        return
    numbers = re.fullmatch(r"(\d+)\.\.(\d+)", found[1])
    if numbers:
        width = max(len(one) for one in numbers.groups()) if found[1].startswith("0") else 0
        middle = [f"{number:0{width}d}" for number in range(int(numbers[1]), int(numbers[2]) + 1)]
    else:
        middle = found[1].split(",")
    for one in middle:
        yield from expand_braces(text[: found.start()] + one + text[found.end() :])


def has_braces(text: str) -> bool:
    """Whether a text stands for several names."""
    return re.search(r"\{(\d+\.\.\d+|[^{}]*,[^{}]*)\}", text) is not None


def _list_above(folder: bytes) -> Iterator[bytes]:
    while folder:
        yield folder
        folder = posixpath.dirname(folder)


def _decode(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
