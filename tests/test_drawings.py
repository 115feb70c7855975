"""A drawing is the same whatever the user's settings; its SVG has the page's colours and ids of its own."""

from __future__ import annotations

import re

import matplotlib
from shown import expect_shown

from fixgrid.heads.drawings import BLUE, COLOURS, clip_name, draw, name_rows


def line(name: str = "line"):
    def fill(figure):
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=BLUE)
        axes.set_xlim(0, 0.5)  # clips, so that ids are referred to
        name_rows(axes, ["$x$", "<b>"])

    return draw(name, "A line.", [{"x": 0}, {"x": 1}], fill, 200)


def test_pixels_and_svg_show_the_same_and_carry_its_name():
    drawing = line()
    expect_shown(drawing)
    assert drawing.records == [{"x": 0}, {"x": 1}]
    assert "$x$" in drawing.svg
    assert "&lt;b&gt;" in drawing.svg


def test_the_users_matplotlib_settings_move_nothing_and_are_left_alone():
    plain = line()
    with matplotlib.rc_context({"font.size": 30, "lines.linestyle": ":"}):
        assert (line().png, line().svg) == (plain.png, plain.svg)
        assert matplotlib.rcParams["font.size"] == 30


def test_colours_are_the_pages_and_none_is_left_in_hexadecimal():
    svg = line().svg
    assert "var(--blue)" in svg
    assert not [value for value in COLOURS.values() if value in svg]
    assert "<style" not in svg


def test_ids_of_two_drawings_never_meet_and_every_reference_is_answered():
    ids = {}
    for name in ("one", "two"):
        svg = line(name).svg
        ids[name] = set(re.findall(r'\bid="([^"]*)"', svg))
        assert set(re.findall(r'(?:url\(#|href="#)([^)"]*)', svg)) == ids[name] != set()
    assert not ids["one"] & ids["two"]


def test_the_middle_of_a_long_name_is_left_out():
    assert clip_name("a" * 24) == "a" * 24
    assert clip_name("n02099601-golden_retriever") == "n02099601-golden…triever"
    assert len(clip_name("b" * 300)) == 24
