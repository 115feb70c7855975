"""T6, T7, T8, T9: files of the cache and of the data that are not what they were."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from zoo import draw_photo, encode, list_manifest

from fixgrid.cache.entry import Entry
from fixgrid.cache.errors import CacheError, FixgridError
from fixgrid.embed.decode import BadImage, decode_rgb

from .kills import resume
from .result import Result
from .world import World, fork_extraction

Mutation = Callable[[bytearray, np.random.Generator], None]


def flip(data: bytearray, rng: np.random.Generator) -> None:
    """One bit."""
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))


def cut(data: bytearray, rng: np.random.Generator) -> None:
    """Truncated."""
    del data[int(rng.integers(len(data))) :]


def clear(data: bytearray, rng: np.random.Generator) -> None:
    """A page of zeros."""
    start = int(rng.integers(len(data)))
    data[start : start + 512] = bytes(len(data[start : start + 512]))


def extend(data: bytearray, rng: np.random.Generator) -> None:
    """Rubbish after the end."""
    data.extend(rng.bytes(100))


def move(data: bytearray, rng: np.random.Generator) -> None:
    """A block copied to another place."""
    a, b = rng.integers(len(data), size=2).tolist()
    block = data[a : a + 256]
    data[b : b + len(block)] = block


MUTATIONS: tuple[Mutation, ...] = (flip, flip, flip, cut, clear, extend, move)


def run_damaged_caches(size: int) -> Result:
    """T6: a reader refuses or is right; the same command repairs."""
    result, rng = Result("T6 damaged and swapped cache files"), np.random.default_rng(10)
    with World() as world:
        sealed, shards = world.folder / "truth", world.fresh_cache("shards")
        leave_shards(world, shards)
        for i in range(size):
            source = shards if i % 2 else sealed
            cache = world.fresh_cache()
            shutil.copytree(source, cache)
            what = damage_one(cache, rng, i)
            result.count("files")
            believe(world, cache, result, what)
            if i % 10 == 0:
                resume(world, cache, result, what)
    result.control = control_flips(400)
    return result


def leave_shards(world: World, cache: Path) -> None:
    """A cache as a kill leaves it: every shard, no seal."""
    code, _, said = fork_extraction(world, cache, forbid_seal).finish()
    if code != 4:
        raise RuntimeError(f"expected an unsealed cache: {code} {said}")


def forbid_seal() -> None:
    """Sealing fails, as in a process that ends there."""

    def seal(entry: Entry, provenance: object) -> None:
        raise CacheError("not now")

    Entry.seal = seal


def damage_one(cache: Path, rng: np.random.Generator, i: int) -> str:
    """Mutate one file of a cache, or give one file the content of another of its kind."""
    files = sorted(path for path in cache.rglob("*") if path.is_file() and path.suffix in (".h5", ".json"))
    path = files[int(rng.integers(len(files)))]
    if i % 8 == 7:
        others = [file for file in files if file.suffix == path.suffix and file != path]
        other = others[int(rng.integers(len(others)))]
        shutil.copyfile(other, path)
        return f"{path.name} replaced by {other.name}"
    mutate, data = MUTATIONS[i % len(MUTATIONS)], bytearray(path.read_bytes())
    mutate(data, rng)
    path.write_bytes(data)
    return f"{mutate.__name__} in {path.name}"


def believe(world: World, cache: Path, result: Result, what: str) -> None:
    """Read in a fork, as HDF5 may end its process: refused or right, never wrong."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            with contextlib.suppress(CacheError):
                code = 2 if world.count_wrong(cache) else 0
            code = 0 if code == 1 else code
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 2:
        result.fail(f"{what}: believed", wrong=1)
    elif code:
        result.fail(f"{what}: reader ended with {code}", crashes=1)


def control_flips(size: int) -> str:
    """Plain h5py: one flipped bit in a file of features, read back."""
    rng, silent, crashed = np.random.default_rng(11), 0, 0
    with World(8) as world:
        path = world.folder / "plain.h5"
        values = rng.normal(size=(500, 64)).astype("f4")
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=values, chunks=(64, 64))
        whole = path.read_bytes()
        for _ in range(size):
            data = bytearray(whole)
            flip(data, rng)
            path.write_bytes(data)
            pid = os.fork()
            if not pid:
                code = 0
                with contextlib.suppress(Exception), h5py.File(path) as file:
                    code = int(not np.array_equal(file["x"][()], values))
                os._exit(code)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            silent, crashed = silent + (code == 1), crashed + (code < 0)
    return f"{silent}/{size} flips silently wrong, {crashed} crashes"


def edit(path: Path) -> None:
    """Another picture."""
    path.write_bytes(encode(draw_photo(24, 20, 31337)))


def edit_quietly(path: Path) -> None:
    """Another picture of the same size in bytes, with its old times."""
    before, data = path.stat(), bytearray(path.read_bytes())
    other = encode(draw_photo(24, 20, 31338))
    path.write_bytes((other + bytes(len(data)))[: max(len(data), len(other))])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def swap(path: Path) -> None:
    """Two files exchange their names."""
    other = sorted(path.parent.iterdir())[-1]
    third = path.with_suffix(".third")
    path.rename(third)
    other.rename(path)
    third.rename(other)


CHANGES: dict[str, tuple[Callable[[Path], object], int]] = {
    "edited": (edit, 1),
    "edited with its times put back": (edit_quietly, 1),
    "renamed": (lambda path: path.rename(path.with_name("zz.png")), 0),
    "moved to the other class": (lambda path: path.rename(path.parent.parent / "b" / "zz.png"), 0),
    "removed": (lambda path: path.unlink(), 0),
    "added": (lambda path: path.with_name("new.png").write_bytes(encode(draw_photo(24, 20, 31336))), 1),
    "copied": (lambda path: shutil.copyfile(path, path.with_name("copy.png")), 0),
    "two names exchanged": (swap, 0),
}


def run_changed_data(size: int) -> Result:
    """T7: eight ways in which a data set changes; rows computed = images changed."""
    result = Result("T7 changed data sets")
    for i in range(size):
        name, (change, images) = list(CHANGES.items())[i % len(CHANGES)]
        with World(48) as world:
            cache = world.fresh_cache()
            world.extract(cache)
            change(sorted((world.data / "a").iterdir())[i % 20])
            world.manifest = list_manifest(world.data)
            outcome = world.extract(cache)
            result.count("checks")
            if outcome.decoded != images:
                result.fail(f"{name}: {outcome.decoded} images decoded, expected {images}", wrong=1)
            world.truth = world.learn_truth()
            wrong = world.count_wrong(cache)
            if wrong:
                result.fail(f"{name}: {wrong} rows wrong", wrong=wrong)
    return result


def run_misordered_rows(size: int) -> Result:
    """T8: rows of a sealed file permuted, shifted, dropped or doubled, under a seal made to fit."""
    from fixgrid.cache.sealedfile import check_sealed

    result, rng = Result("T8 rows out of order"), np.random.default_rng(12)
    with World() as world:
        [entry, *_] = world.entries(world.folder / "truth")
        copy = world.folder / "forged.h5"
        for i in range(size):
            shutil.copyfile(entry.sealed_file, copy)
            with h5py.File(copy, "r+") as file:
                order = [
                    np.roll(np.arange(len(world.rows)), 1),
                    rng.permutation(len(world.rows)),
                    np.arange(len(world.rows)),
                ][i % 3]
                if i % 3 == 2:
                    order[int(rng.integers(1, len(order)))] -= 1
                for name in ("features", "row_crc") if i % 2 else ("features",):
                    file[name][...] = file[name][()][order]
            result.count("files")
            with contextlib.suppress(FixgridError):
                check_sealed(copy, entry.spec)
                result.fail("rows out of order were believed", wrong=1)
    return result


def run_mutated_images(size: int) -> Result:
    """T9: mutated images of every format give an image or a verdict; each batch in a fork."""
    result, rng = Result("T9 mutated images"), np.random.default_rng(13)
    whole = [
        encode(draw_photo(40, 30, i), kind) for i, kind in enumerate(("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"))
    ]
    for start in range(0, size, 50):
        files = []
        for i in range(start, min(start + 50, size)):
            data = bytearray(whole[i % len(whole)])
            MUTATIONS[i % len(MUTATIONS)](data, rng)
            files.append(bytes(data))
        pid = os.fork()
        if not pid:
            code = 1
            try:
                for data in files:
                    with contextlib.suppress(BadImage):
                        decode_rgb(data)
                code = 0
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        for _ in files:
            result.count("files")
        if code:
            result.fail(f"a decoder ended with {code} in images {start} to {start + 50}", crashes=1)
    return result
