"""Regular image files are found in byte order; what is passed over is told apart and counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from zoo import touch

from fixgrid.cache.errors import DataError
from fixgrid.embed.sources.walk import Walk, describe_passed, walk_images

NOT_UTF8 = os.fsdecode(b"\xff.png")


def walk(folder: Path, **options: bool) -> Walk:
    return walk_images(os.path.realpath(os.fsencode(folder)), **options)


def reasons(found: Walk) -> dict[bytes, str]:
    return {one.path: one.why for one in found.passed}


def test_every_listed_suffix_counts_in_any_case_and_nothing_else(tmp_path):
    names = [
        "a.jpg",
        "b.JPEG",
        "c.Png",
        "d.webp",
        "e.bmp",
        "f.tif",
        "g.TIFF",
        "h.gif",
        "i.jfif",
        "j.jpe",
        "k.pjpeg",
    ]
    names += ["l.pjp", "m.avif", "n.HEIC", "o.heif"]
    touch(tmp_path, *names, "p.txt", "q.svg", "jpg")
    found = walk(tmp_path)
    assert found.images == [name.encode() for name in names]
    assert set(reasons(found)) == {b"p.txt", b"q.svg", b"jpg"}


def test_names_are_sorted_as_bytes_and_need_not_be_utf8(tmp_path):
    names = ("a/" + NOT_UTF8, "a/B.png", "a/b.png", "a/ä.png", "a/with\nnewline.png", "a b/1.png", "A.png")
    paths = walk(touch(tmp_path, *names)).images
    assert paths == sorted(paths)
    assert paths[:2] == [b"A.png", b"a b/1.png"]
    assert paths[-1] == b"a/\xff.png"


def test_folders_are_told_with_and_without_images(tmp_path):
    touch(tmp_path, "b/deep/1.png")
    (tmp_path / "a").mkdir()
    assert walk(tmp_path).folders == [b"a", b"b", b"b/deep"]


@pytest.mark.parametrize("junk", [".hidden.jpg", ".git/k.jpg", "__MACOSX/1.png", "Thumbs.db", "desktop.ini"])
def test_what_systems_leave_behind_is_no_news(tmp_path, junk):
    found = walk(touch(tmp_path, "1.png", junk))
    assert found.images == [b"1.png"]
    assert describe_passed(found.passed) == ()
    assert describe_passed(found.passed, hidden=True) == ("ignored 1 hidden name(s)",)


def test_suffixes_are_counted_the_commonest_first(tmp_path):
    touch(tmp_path, "1.txt", "2.TXT", "3.json", "readme", "4.a", "5.b", "6.c")
    (note,) = describe_passed(walk(tmp_path).passed)
    assert note.startswith("ignored 7 file(s) that are not images: 2 .txt, ")
    assert note.endswith("1 others")


def test_images_without_extension_are_told_by_their_first_bytes(tmp_path):
    touch(tmp_path, "text")
    heads = {"a": b"\xff\xd8\xff\xe0", "b": b"\x89PNG\r\n\x1a\n", "c": b"RIFF....WEBP", "d": b"\0\0\0\x18ftypavif"}
    for name, head in heads.items():
        (tmp_path / name).write_bytes(head + bytes(20))
    kinds = [reasons(walk(tmp_path))[name.encode()].split()[0] for name in (*heads, "text")]
    assert kinds == ["JPEG", "PNG", "WebP", "AVIF", "file(s)"]
    notes = " ".join(describe_passed(walk(tmp_path).passed))
    assert "ignored 1 JPEG image(s) without extension, such as a: add one to their names" in notes


def test_links_are_not_followed_unless_asked_and_the_option_is_named(tmp_path):
    touch(tmp_path, "a/1.png")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "2.png").symlink_to(tmp_path / "a" / "1.png")
    assert walk(tmp_path).images == [b"a/1.png"]
    assert describe_passed(walk(tmp_path).passed) == ("ignored 2 link(s); --follow-links follows them",)
    followed = walk(tmp_path, follow_links=True)
    assert followed.images == [b"a/1.png", b"a/2.png"]
    assert reasons(followed) == {b"b": "link(s) to folders that were listed before"}


def test_a_loop_of_links_ends_and_files_keep_their_real_path(tmp_path):
    touch(tmp_path, "z/deep/1.png")
    (tmp_path / "a").symlink_to(tmp_path / "z")
    (tmp_path / "z" / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    found = walk(tmp_path, follow_links=True)
    assert found.images == [b"z/deep/1.png"]
    assert reasons(found)[b"self"] == "link(s) to nothing"


@pytest.mark.parametrize("follow", [False, True])
def test_a_link_out_of_the_folder_is_never_followed_and_a_copy_advised(tmp_path, follow):
    touch(tmp_path, "in/a/1.png", "out/secret/2.png", "in-too/3.png")
    (tmp_path / "in" / "a" / "etc").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "a" / "4.png").symlink_to(tmp_path / "in-too" / "3.png")
    found = walk(tmp_path / "in", follow_links=follow)
    assert found.images == [b"a/1.png"]
    (note,) = describe_passed(found.passed)
    assert note.startswith("ignored 2 link(s) that lead out of the folder: ")
    assert "cp -rL" in note


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.png")
    assert reasons(walk(tmp_path)) == dict.fromkeys((b"pipe", b"pipe.png"), "special file(s)")


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone/: No such file"):
        walk(tmp_path / "gone")
