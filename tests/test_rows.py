from __future__ import annotations

from dataclasses import replace

import numpy as np
from entries import make_rows

ROWS = make_rows(4)


def test_the_digest_of_rows_never_moves() -> None:
    assert ROWS.digest == "cfe405c4913a5f20e83e07ecd5ace12640b3cf6ba7cfd93fe28c0497aba5e2bb"


def test_labels_are_not_part_of_the_digest() -> None:
    assert replace(ROWS, labels=ROWS.labels[::-1]).digest == ROWS.digest


def test_name_size_content_and_order_are_part_of_the_digest() -> None:
    order = np.array([1, 0, 2, 3])
    others = [
        replace(ROWS, paths=(b"x", *ROWS.paths[1:])),
        replace(ROWS, sizes=ROWS.sizes + 1),
        replace(ROWS, sha256=ROWS.sha256 ^ 1),
        replace(ROWS, paths=tuple(ROWS.paths[i] for i in order), sha256=ROWS.sha256[order]),
        replace(ROWS, paths=ROWS.paths[:3], sizes=ROWS.sizes[:3], sha256=ROWS.sha256[:3]),
    ]
    assert len({ROWS.digest, *(rows.digest for rows in others)}) == 6


def test_bytes_cannot_move_from_one_name_to_the_next() -> None:
    one, two = replace(ROWS, paths=(b"a", b"bc", b"d", b"e")), replace(ROWS, paths=(b"ab", b"c", b"d", b"e"))
    assert one.digest != two.digest
