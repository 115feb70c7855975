from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fixgrid.cache.strings import Strings

# Few letters, so that beginnings are shared; lengths around the eight bytes that are sorted by at a time.
LISTS = st.lists(
    st.one_of(
        st.binary(max_size=3),
        st.text("ab", max_size=20).map(str.encode),
        st.sampled_from([b"aaaaaaaa", b"aaaaaaaa\0", b"aaaaaaaab"]),
    )
)


@given(LISTS, st.integers(-9, 9), st.integers(-9, 9), st.sampled_from([1, 2, -1]))
def test_strings_are_read_as_a_tuple_of_them(given: list[bytes], a: int, b: int, step: int) -> None:
    strings = Strings.gather(given)
    assert strings == given
    assert list(strings) == given
    assert [strings[i] for i in range(-len(given), len(given))] == given + given
    assert list(strings[a:b:step]) == given[a:b:step]
    assert list(strings[a:b][1:]) == given[a:b][1:]
    assert strings != (*given, b"more")
    assert strings.join(strings[a:b]) == given + given[a:b]


@given(LISTS)
def test_they_are_sorted_as_bytes_are_and_equal_ones_stay_as_they_come(given: list[bytes]) -> None:
    order = Strings.gather(given).argsort()
    assert order.tolist() == sorted(range(len(given)), key=lambda i: given[i])


@given(LISTS, LISTS)
def test_each_is_found_where_it_is_or_nowhere(have: list[bytes], wanted: list[bytes]) -> None:
    mine, theirs = Strings.gather(dict.fromkeys(have)), Strings.gather(wanted)
    places = {one: place for place, one in enumerate(mine)}
    assert mine.find(theirs).tolist() == [places.get(one, -1) for one in wanted]


def test_strings_of_one_hash_are_told_apart(monkeypatch) -> None:
    monkeypatch.setattr(Strings, "hash", lambda self: np.zeros(len(self), np.int64))
    found = Strings.gather([b"a", b"b", b"c"]).find(Strings.gather([b"c", b"d", b"a"]))
    assert found.tolist() == [2, -1, 0]


def test_some_are_taken_across_blocks() -> None:
    given = [b"%d" % i for i in range(40_000)]
    index = np.random.default_rng(0).integers(0, 40_000, 50_000)
    assert list(Strings.gather(given).take(index)) == [given[i] for i in index]


def test_a_slice_is_no_copy_and_travels_without_the_others() -> None:
    whole = Strings.gather(b"%09d" % i for i in range(10_000))
    part = whole[5000:5010]
    assert np.shares_memory(part.text, whole.text)
    assert len(pickle.dumps(part)) < 1000
    assert pickle.loads(pickle.dumps(part)) == [b"%09d" % i for i in range(5000, 5010)]
