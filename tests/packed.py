"""A folder of images as people pack it: one tar or zip file, WebDataset's shards, Parquet as of Hugging Face."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

Member = tuple[str, bytes]


def read_folder(folder: Path) -> list[Member]:
    """All files of a folder by their paths, sorted."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return [(file.relative_to(folder).as_posix(), file.read_bytes()) for file in files]


def pack_tar(file: Path, members: Sequence[Member], *, form: int = tarfile.PAX_FORMAT) -> Path:
    """A tar file; in pax format each member has a header more, for its time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w", format=form) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1.5 if form == tarfile.PAX_FORMAT else 1
            tar.addfile(member, io.BytesIO(data))
    return file


def pack_zip(file: Path, members: Sequence[Member], *, how: int = zipfile.ZIP_DEFLATED) -> Path:
    """A zip file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file


def pack_samples(folder: Path, members: Sequence[Member], each: int) -> Path:
    """WebDataset's shards of `each` images, ``split/class/name``, called by their numbers, classes in ``.cls``."""
    for split in sorted({name.split("/")[0] for name, _ in members}):
        mine = [(name, data) for name, data in members if name.startswith(f"{split}/")]
        mine.sort(key=lambda member: hashlib.sha256(member[1]).digest())  # as people shuffle them
        for start in range(0, len(mine), each):
            part: list[Member] = []
            for number, (name, data) in enumerate(mine[start : start + each], start):
                key = f"{number:06d}"
                kind = name.rsplit(".", 1)[1]
                part += [(f"{key}.{kind}", data), (f"{key}.cls", name.split("/")[1].encode())]
            pack_tar(folder / f"photos-{split}-{start // each:06d}.tar", part)
    return folder


def pack_parquet(file: Path, members: Sequence[Member], classes: Sequence[str], group: int = 7) -> Path:
    """As Hugging Face's datasets write ``split/class/name``: bytes and path, and the classes' numbers."""
    import pyarrow as arrow

    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": [*classes]}}
    held = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    schema = arrow.schema(
        [("image", held), ("label", arrow.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    columns = {
        "image": [{"bytes": data, "path": name.rsplit("/", 1)[1]} for name, data in members],
        "label": [[*classes].index(name.split("/")[1]) for name, _ in members],
    }
    return write_parquet(file, columns, group, schema)


def write_parquet(
    file: Path, columns: Mapping[str, Sequence[object]], group: int = 7, schema: object = None
) -> Path:
    """Columns as a Parquet file."""
    import pyarrow as arrow
    from pyarrow import parquet

    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.table(dict(columns), schema=schema), file, row_group_size=group)
    return file
