"""T12: files made to be opened: each is refused, and nothing outside is touched or run."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pickle
import resource
import shutil
import signal
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from fixgrid.cache.errors import CacheError, FixgridError
from fixgrid.cache.garbage import find_garbage
from fixgrid.cache.health import verify_store
from fixgrid.cache.key import Spec
from fixgrid.cache.rowsfile import decode_rows
from fixgrid.cache.sealedfile import open_sealed
from fixgrid.cache.shard import list_shards, read_shard
from fixgrid.cache.store import FeatureStore
from fixgrid.cache.view import read_view
from fixgrid.embed.replica import find_trunk
from fixgrid.embed.sources.downloads import unpack_tar
from fixgrid.embed.sources.tables.tablefile import list_table

from .result import Result
from .world import VIEWS, World

MEMORY = 3 << 30
Attack = Callable[[], object]


class Payload:
    """Unpickled, it would write where it must not."""

    def __init__(self, canary: Path, call: Callable[..., object]) -> None:
        self.canary, self.call = canary, call

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        command = f"echo pwned > {self.canary}"
        return self.call, ((command,) if self.call in (os.system, exec) else (str(self.canary),))


def run_attacks(size: int) -> Result:
    """Every attack once; `size` below the number of attacks takes the first of each kind."""
    result = Result("T12 hostile files")
    with World(16) as world:
        canary = world.folder / "canary"
        canary.write_bytes(b"alive")
        for kind in (attack_hdf5, attack_weights, attack_heads, attack_lists, attack_reads, attack_specs):
            attacks = list(kind(world, canary))
            for name, attack in attacks[: max(2, size // 5)] if size < 40 else attacks:
                outcome = try_attack(attack)
                alive = canary.read_bytes() == b"alive"
                result.count("attacks")
                if outcome != "refused" or not alive:
                    result.fail(f"{name}: {outcome}, canary {'alive' if alive else 'touched'}", crashes=1)
                canary.write_bytes(b"alive")
    result.control = "h5py follows links and virtual data sets; pickle runs code"
    return result


def try_attack(attack: Attack) -> str:
    """In a fork with little memory: refused, believed, or how it ended."""
    pid = os.fork()
    if not pid:
        code = 3
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY + _used_bytes(), MEMORY + _used_bytes()))
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            signal.alarm(60)
            attack()
        except FixgridError:
            code = 0
        except BaseException as error:  # noqa: BLE001 - a fork must never return into the suite
            os.write(1, f"{type(error).__name__}: {error}\n".encode())
            code = 4
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {0: "refused", 3: "believed", 4: "an unexpected error"}.get(code, f"ended with {code}")


def _used_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def attack_hdf5(world: World, canary: Path) -> Iterator[tuple[str, Attack]]:
    """Sealed files and shards that link, declare, filter or store what they must not."""
    [entry, *_] = world.entries(world.folder / "truth")
    spec, n, folder = entry.spec, len(world.rows), world.folder / "hdf5"
    folder.mkdir()
    secret = folder / "secret.h5"
    shutil.copyfile(entry.sealed_file, secret)

    def layout() -> h5py.VirtualLayout:
        made = h5py.VirtualLayout((n, 1, spec.dim), "f4")
        made[:] = h5py.VirtualSource(str(secret), "features", (n, 1, spec.dim))
        return made

    shape = (n, 1, spec.dim)
    makers: dict[str, Callable[[h5py.File], object]] = {
        "external link": lambda f: f.__setitem__("features", h5py.ExternalLink(str(secret), "/features")),
        "external link to a text": lambda f: f.__setitem__("features", h5py.ExternalLink("/etc/passwd", "/")),
        "external link to nothing": lambda f: f.__setitem__("features", h5py.ExternalLink("/no", "/x")),
        "soft link": lambda f: f.__setitem__("features", h5py.SoftLink("/row_crc")),
        "soft link loop": lambda f: f.__setitem__("features", h5py.SoftLink("/features")),
        "external raw data": lambda f: f.create_dataset("features", shape, "f4", external=[(str(canary), 0, 999)]),
        "virtual data set": lambda f: f.create_virtual_dataset("features", layout()),
        "shape bomb": lambda f: f.create_dataset("features", (1 << 42,), "f4", chunks=(1 << 20,)),
        "shape bomb of the right shape": lambda f: f.create_dataset("features", shape, "f4", chunks=shape),
        "deflate bomb": lambda f: f.create_dataset(
            "features", data=np.zeros(shape, "f4"), chunks=shape, compression="gzip"
        ),
        "unknown filter": lambda f: f.create_dataset(
            "features", shape, "f4", chunks=shape, compression=32_015, allow_unknown_filter=True
        ),
        "variable length": lambda f: f.create_dataset("features", shape, h5py.vlen_dtype(np.float32)),
        "strings": lambda f: f.create_dataset("features", shape, h5py.string_dtype()),
        "references": lambda f: f.create_dataset("features", shape, h5py.ref_dtype),
        "compound": lambda f: f.create_dataset("features", shape, [("a", "f4"), ("b", "f4")]),
        "doubles": lambda f: f.create_dataset("features", data=np.zeros(shape)),
        "a group": lambda f: f.create_group("features"),
        "a deep group": lambda f: f.create_group("/".join("features" for _ in range(500))),
        "an extra link": lambda f: (
            f.create_dataset("features", data=np.zeros(shape, "f4")),
            f.__setitem__("more", h5py.ExternalLink("/etc/passwd", "/")),
        ),
    }
    for i, (name, make) in enumerate(makers.items()):
        path = folder / f"{i}.h5"
        with h5py.File(secret) as good, h5py.File(path, "w") as file:
            for other in ("row", "status", "row_crc"):
                good.copy(other, file)
            make(file)
        yield f"sealed file: {name}", lambda path=path: _read_all(path, spec)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
        shards = folder / f"shards{i}"
        shards.mkdir()
        shutil.copyfile(path, shards / f"000000000-{n:09d}.{digest}.h5")
        yield f"shard: {name}", lambda shards=shards: read_shard(list_shards(shards)[0], spec)
    for name, data in {
        "empty": b"",
        "a signature": b"\x89HDF\r\n\x1a\n",
        "rubbish": bytes(range(256)) * 40,
    }.items():
        yield f"rows: {name}", lambda data=data: decode_rows(io.BytesIO(data))


def _read_all(path: Path, spec: Spec) -> None:
    with open_sealed(path, spec) as file:
        file["features"][()]


def attack_weights(world: World, canary: Path) -> Iterator[tuple[str, Attack]]:
    """Checkpoints that run code, inflate, or are no tensors."""
    import torch

    from fixgrid.embed.trunks.checkpoint import load_checkpoint
    from fixgrid.embed.trunks.source import Headless
    from fixgrid.embed.trunks.weights import read_weights

    folder = world.folder / "weights"
    folder.mkdir()

    def put(name: str, data: bytes) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    for i, call in enumerate((os.system, exec, os.remove)):
        yield f"pickle {i}", partial(read_weights, put(f"p{i}.pt", pickle.dumps({"w": Payload(canary, call)})))
        path = folder / f"zip{i}.pt"
        torch.save({"w": Payload(canary, call)}, path)
        yield f"checkpoint with a pickle {i}", lambda path=path: read_weights(path)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        archive.writestr("archive/data/0", bytes(200 << 20))
    yield "zip bomb", partial(read_weights, put("bomb.pt", bomb.getvalue()))
    tensors = {
        "sparse": torch.ones(3).to_sparse(),
        "NaN": torch.full((3,), float("nan")),
        "complex": torch.zeros(3, dtype=torch.complex64),
        "a text": "hello",
        "a list": [1, 2],
    }
    for name, value in tensors.items():
        path, built = folder / f"{name}.pt", Headless(torch.nn.BatchNorm1d(3), 3, ())
        torch.save({**built.module.state_dict(), "weight": value}, path)
        yield f"weights: {name}", partial(load_checkpoint, built, path, "toy:toy")
    for name, head in {
        "long header": struct.pack("<Q", 1 << 62),
        "far offsets": _safetensors({"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}),
        "overlap": _safetensors({"w": {"dtype": "F32", "shape": [2], "data_offsets": [4, 8]}}),
        "no json": struct.pack("<Q", 8) + b"notjson!",
        "empty": b"",
    }.items():
        yield f"safetensors: {name}", partial(read_weights, put(f"{name}.safetensors", head))


def _safetensors(header: dict[str, object]) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(16)


def attack_heads(world: World, canary: Path) -> Iterator[tuple[str, Attack]]:
    """Heads whose tensors or record are not what they say."""
    from safetensors.numpy import save

    from fixgrid.heads.artifact import load_head

    def put(name: str, tensors: bytes, **record: object) -> Path:
        stem = world.folder / "heads" / name
        stem.parent.mkdir(exist_ok=True)
        facts = {"classes": ["a", "b"], "C": 1, "keys": {}, "trunk": {}, "view": {}, "figures": {}}
        text = {
            "format": "fixgrid-head-1",
            "tensors_sha256": hashlib.sha256(tensors).hexdigest(),
            **facts,
            **record,
        }
        stem.with_name(name + ".json").write_text(json.dumps(text))
        stem.with_name(name + ".safetensors").write_bytes(tensors)
        return stem

    good = {"coef": np.zeros((2, 3), "f4"), "intercept": np.zeros(2, "f4"), "temperature": np.ones(1, "f4")}
    heads = {
        "a pickle": put("pickle", pickle.dumps(Payload(canary, os.remove))),
        "another digest": put("digest", save(good), tensors_sha256="0" * 64),
        "another format": put("format", save(good), format="fixgrid-head-999"),
        "more classes": put("classes", save(good), classes=["a", "b", "c"]),
        "NaN": put("nan", save({**good, "coef": np.full((2, 3), np.nan, "f4")})),
        "a missing tensor": put("missing", save({"coef": good["coef"]})),
        "far offsets": put(
            "far", _safetensors({"coef": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 999]}})
        ),
        "a text for a number": put("text", save(good), C="__import__('os')"),
    }
    heads["a FIFO"] = put("fifo", save(good))
    for suffix in (".json", ".safetensors"):
        heads["a FIFO"].with_suffix(suffix).unlink()
        os.mkfifo(heads["a FIFO"].with_suffix(suffix))
    for name, stem in heads.items():
        yield f"head: {name}", lambda stem=stem: load_head(stem)
    view = VIEWS[0].to_spec()
    for field, value in {"crop_ratio": "1e-300", "res": 10**12, "mean": ["x"] * 3, "kind": "os.system"}.items():
        yield f"head: a view of {field} {value}", partial(read_view, {**view, field: value})
    trunk = {**dict.fromkeys(("trunk", "architecture", "node", "weights_sha256"), "stub"), "precision": "fp32"}
    for field, value in {"dtype": "object", "precision": "fp7", "decode": {}, "trunk": ["a"]}.items():
        found = partial(find_trunk, {**trunk, field: value}, VIEWS[0], None, world.folder / "trunks")
        yield f"head: a trunk of {field} {value}", found


def attack_lists(world: World, canary: Path) -> Iterator[tuple[str, Attack]]:
    """CSV files and archives that lead out of their folder."""
    folder = world.folder / "lists"
    folder.mkdir()
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "up").symlink_to(world.folder)
    os.mkfifo(folder / "fifo.png")
    paths = ["../canary", "/etc/passwd", "a/../../canary", "link", "up/canary", "fifo.png", "a\0b", "", "."]
    for i, path in enumerate(paths):
        file = folder / f"{i}.csv"
        with open(file, "w", newline="") as stream:
            csv.writer(stream).writerows([("path", "label"), (path, "x")])
        yield f"csv: {path!r}", lambda file=file: list_table(file)
    huge = _write(folder / "huge.csv", b"path,label\n" + b"a" * (1 << 20))
    yield "csv: a huge cell", partial(list_table, huge)
    members = {
        "parent": ("../canary", tarfile.REGTYPE, ""),
        "absolute": (str(canary), tarfile.REGTYPE, ""),
        "symlink": ("in/link", tarfile.SYMTYPE, str(canary)),
        "hard link": ("in/link", tarfile.LNKTYPE, str(canary)),
        "device": ("in/device", tarfile.CHRTYPE, ""),
        "fifo": ("in/fifo", tarfile.FIFOTYPE, ""),
    }
    for name, (member, kind, target) in members.items():
        tar = folder / f"{name}.tar"
        with tarfile.open(tar, "w") as archive:
            info = tarfile.TarInfo(member)
            info.type, info.linkname, info.size = kind, target, 5 if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(b"pwned"))
        yield f"tar: {name}", lambda tar=tar: unpack_tar(tar, folder / "out", max_bytes=1000)
    big = folder / "big.tar"
    with tarfile.open(big, "w") as archive:
        info = tarfile.TarInfo("big")
        info.size = 5000
        archive.addfile(info, io.BytesIO(bytes(5000)))
    yield "tar: more than allowed", lambda: unpack_tar(big, folder / "out", max_bytes=1000)
    damaged = _write(folder / "cut.tar", big.read_bytes()[:700])
    yield "tar: cut", partial(unpack_tar, damaged, folder / "out", max_bytes=10**6)


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def attack_reads(world: World, canary: Path) -> Iterator[tuple[str, Attack]]:
    """FIFOs in place of a cache's files: whoever opens one waits for ever."""
    patterns = ("??/*/spec.json", "??/*/rows.h5", "??/*/sealed.json", "??/*/features.h5", "data/*/data.json")
    for i, pattern in enumerate(patterns):
        cache = world.folder / f"fifos-{i}"
        shutil.copytree(world.folder / "truth", cache)
        for path in (cache / "v1").glob(pattern):
            path.unlink()
            os.mkfifo(path)
        yield f"a FIFO for {pattern}", partial(_expect_whole, cache)


def _expect_whole(cache: Path) -> None:
    store = FeatureStore(cache)
    find_garbage(store)
    if problems := verify_store(store):
        raise CacheError(problems[0])


def attack_specs(world: World, canary: Path) -> Iterator[tuple[str, Attack]]:
    """spec.json that is deep, of other types, or of another time."""
    [entry, *_] = world.entries(world.folder / "truth")
    good = json.loads(entry.spec.to_json())
    for name, text in {
        "deep": "[" * 200_000,
        "a list": "[]",
        "a newer format": json.dumps({**good, "format": 999}),
        "rows of text": json.dumps({**good, "rows": "9" * 100}),
        "objects": json.dumps({**good, "dtype": "object"}),
        "fewer than no rows": json.dumps({**good, "rows": -1}),
        "an extra field": json.dumps({**good, "__class__": "os.system"}),
    }.items():
        yield f"spec: {name}", lambda text=text: Spec.from_json(text.encode())
