"""Parquet, by pyarrow: ``path``, ``split``, ``label``, ``row``, ``view``, ``features``; a row group a block."""

from __future__ import annotations

from importlib.util import find_spec
from typing import BinaryIO

from fixgrid.cache.errors import UsageError

from .lines import Lines


def check(lines: Lines) -> None:
    """Refuse names that are not UTF-8, or to write without pyarrow."""
    if find_spec("pyarrow") is None:
        raise UsageError(
            "found no package pyarrow, which .parquet needs: pip install 'fixgrid[parquet]', or name an --out that "
            "ends in .npz, .safetensors or .csv."
        )
    lines.expect_text(".parquet")


def write(lines: Lines, file: BinaryIO) -> None:
    """Write the lines; ``label`` is null without one, ``features`` a list of D, what they are of in the schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    value = pa.float16() if lines.dtype.itemsize == 2 else pa.float32()
    texts = {name: pa.string() for name in ("path", "split", "label")}
    label = pa.float64() if lines.label.dtype.kind == "f" else pa.string()
    fields = {
        **texts,
        "label": label,
        "row": pa.int64(),
        "view": pa.int64(),
        "features": pa.list_(value, lines.dim),
    }
    schema = pa.schema(fields.items(), metadata={"fixgrid": lines.describe()})
    start = 0
    # Features hardly repeat, so a dictionary of them would only cost.
    with pq.ParquetWriter(pa.PythonFile(file, "w"), schema, use_dictionary=list(texts)) as writer:
        for block in lines.read():
            part = slice(start, start + len(block))
            columns = [
                pa.array([path.decode() for path in lines.list_paths(part)], pa.string()),
                pa.array(lines.list_splits(part), pa.string()),
                pa.array(lines.list_labels(part), label),
                pa.array(lines.row[part]),
                pa.array(lines.view[part]),
                pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), lines.dim),
            ]
            writer.write_batch(pa.record_batch(columns, schema))
            start += len(block)
