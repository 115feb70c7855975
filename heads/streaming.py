"""Which features stay on disk while heads are fitted, what that costs, and which questions cannot be asked so."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fixgrid.cache.blocks import Blocks
from fixgrid.cache.errors import UsageError
from fixgrid.cache.features import FeatureSet
from fixgrid.cache.holdings import Holdings
from fixgrid.cache.view import View

from .arrays import PRODUCT_ROWS
from .linear import Axes
from .losses import choose_loss
from .moments import measure_moments
from .question import Asked
from .recipe import list_recipes
from .source import Place, Shelf
from .streamed import StreamedDesign

_LEAST_ROWS = 64  # read at once; those of a chunk of the sealed file
_NEIGHBOUR_ROWS = 1024  # whose similarities to all training rows are in memory at once
# What a row takes in memory beside itself and what it was read from: floats, of D features and K classes.
_LOGITS, _COPIES = 6, 2
_KEPT_STEPS = 100  # arrays of K x D: steps and changes of L-BFGS, in float64 at worst, and other strengths


@dataclass(frozen=True, eq=False)
class Streams:
    """A source some of whose places stay on disk.

    Attributes
    ----------
    holdings : Holdings
    steps : mapping of (split, kind, px) to int
        Rows that are read at once of those that do.
    """

    holdings: Holdings
    steps: Mapping[Place, int]

    @property
    def n_classes(self) -> int:
        """As the holdings."""
        return self.holdings.n_classes

    def view(self, split: str, kind: str, res: int) -> View:
        """As the holdings."""
        return self.holdings.view(split, kind, res)

    def load(self, split: str, kind: str, res: int) -> FeatureSet:
        """As the holdings; with features that stay on disk, where they do."""
        place = split, kind, res
        step = self.steps.get(place)
        return self.holdings.load(*place) if step is None else self.holdings.stream(*place, step)

    def identify(self, split: str, kind: str, res: int) -> str:
        """As the holdings: answers differ by no more than the certified gap, wherever features are."""
        return self.holdings.identify(split, kind, res)


def need_whole(rows: int, dim: int, n_classes: int, families: Sequence[str]) -> int:
    """Bytes that a fit of ``rows`` in memory takes."""
    more = {"logistic": _LOGITS * n_classes, "ridge": n_classes, "knn": 2 * _NEIGHBOUR_ROWS}
    return 4 * rows * (_COPIES * dim + max((more.get(name, 0) for name in families), default=0))


def need_streamed(step: int, dim: int, n_classes: int, families: Sequence[str]) -> int:
    """Bytes that a fit takes which reads ``step`` rows at once."""
    kept = _KEPT_STEPS if "logistic" in families else 6
    own = 6 * dim * dim + kept * n_classes * dim
    return 4 * (own + step * (3 * dim + 4 * n_classes) + ("knn" in families) * 3 * step * _NEIGHBOUR_ROWS)


def choose_steps(asked: Asked, memory: int) -> dict[Place, int]:
    """Rows to read at once of each place whose features ``memory`` bytes have no room for.

    Raises
    ------
    UsageError
        If what is read at once would not fit either.
    """
    families = asked.options.families
    steps: dict[Place, int] = {}
    places = dict.fromkeys(place for recipe in list_recipes(asked) for place in recipe.places)
    for split, kind, res in (place for place in places if place in asked.holdings.entries):
        spec = asked.holdings.entry(split, kind, res).spec
        rows, K = spec.rows * spec.views, asked.n_classes
        trains = split == "train"
        need = need_whole(rows, spec.dim, K, families if trains else ())
        if need <= (memory if trains else memory // 4) or (trains and rows <= spec.dim):
            continue
        fitting = (step for step in _list_steps() if need_streamed(step, spec.dim, K, families) <= memory // 2)
        step = next(fitting, _LEAST_ROWS)
        least = need_streamed(_LEAST_ROWS, spec.dim, K, families)
        if least > memory:
            raise UsageError(
                f"found --memory of {say_bytes(memory)} for heads of {K} classes on {spec.dim} features; expected "
                f"{say_bytes(least)} or more, which they take even where features stay on disk."
            )
        steps[split, kind, res] = step
    return steps


def stream_ask(asked: Asked, memory: int, more: Sequence[str] = ()) -> Asked:
    """The same question, with features that ``memory`` bytes have no room for left on disk; notes say which.

    Parameters
    ----------
    asked : Asked
    memory : int
    more : sequence of str
        Options that need training features in memory, beside those of ``asked``.

    Raises
    ------
    UsageError
        If the question needs them in memory, or ``memory`` is too little for any.
    """
    steps = choose_steps(asked, memory)
    if not steps:
        return asked
    trained = [place for place in steps if place[0] == "train"]
    for option in (*_list_whole(asked), *more) if trained else ():
        raise refuse_whole(option, max(_size(asked, place) for place in trained), memory)
    notes = [_say_cost(asked, place, steps[place], memory) for place in steps]
    return replace(asked, source=Shelf(Streams(asked.holdings, steps), memory // 4), notes=(*asked.notes, *notes))


def refuse_whole(option: str, size: int, memory: int) -> UsageError:
    """Why an option cannot be had of features that stay on disk."""
    return UsageError(
        f"found {option} for heads that take {say_bytes(size)} in memory, and {say_bytes(memory)} of --memory; "
        f"expected more, or no {option.split()[0]}, which does not work on features that stay on disk."
    )


def say_bytes(size: float) -> str:
    """As in 4.1 GB."""
    unit, name = next(((unit, name) for unit, name in ((1e9, "GB"), (1e6, "MB")) if size >= unit), (1e3, "kB"))
    return f"{size / unit:.1f} {name}"


def _list_steps() -> list[int]:
    steps = [PRODUCT_ROWS]
    while steps[-1] > _LEAST_ROWS:
        steps.append(steps[-1] // 2)
    return steps


def _size(asked: Asked, place: Place) -> int:
    spec = asked.holdings.entry(*place).spec
    families = asked.options.families if place[0] == "train" else ()
    return need_whole(spec.rows * spec.views, spec.dim, asked.n_classes, families)


def _list_whole(asked: Asked) -> list[str]:
    """Options of a question that need training features in memory."""
    options = asked.options
    maps = [name for name in options.corrections if name in ("standardize", "frechet")]
    several = any("+" in str(test_res) for _, test_res in asked.pairs)
    wrong = {
        "--refit": options.refit,
        f"--gap {','.join(maps)}": bool(maps),
        "--train-view both": len(options.train_kinds) > 1,
        "--gap refit at several test resolutions": several and "refit" in options.corrections,
    }
    return [option for option, given in wrong.items() if given]


def _say_cost(asked: Asked, place: Place, step: int, memory: int) -> str:
    split, _, res = place
    rows = asked.holdings.entry(*place).spec.rows
    said = (
        f"note: {split} features at {res} px stay on disk: heads on them take {say_bytes(_size(asked, place))} in "
        f"memory, and --memory has {say_bytes(memory)}; read in {-(-rows // step)} blocks of {step} rows"
    )
    if split != "train":
        return said
    moments, sweep = measure_readings(asked, place, step)
    closed = [name for name in asked.options.families if name in ("ridge", "lda", "mean")]
    costs = [f"{','.join(closed)} {moments:.0f} s"] if closed else []
    if "logistic" in asked.options.families:
        values = len(asked.options.strengths[:: asked.options.coarse])
        costs.append(f"logistic {sweep:.0f} s a step, 2 to 25 steps for each of up to {values} values of C")
    if "sgd" in asked.options.families:
        costs.append(f"sgd {30 * sweep:.0f} s a rate or more")
    return f"{said}; about {'; '.join(costs)}" if costs else said


def measure_readings(asked: Asked, place: Place, step: int) -> tuple[float, float]:
    """Seconds that a reading of all rows takes, for moments and for the loss of a head: measured on one block."""
    rows = asked.holdings.manifest.splits[place[0]]
    entry = asked.holdings.entry(*place)
    begun = time.perf_counter()
    block = next(entry.read_blocks(rows, step, checked=True))
    read = time.perf_counter() - begun
    X = block.X.reshape(-1, entry.spec.dim)
    y = np.repeat(block.y, block.X.shape[1], axis=0)
    n, d = X.shape
    loss = choose_loss(y, asked.n_classes)
    begun = time.perf_counter()
    moments = measure_moments(X, np.zeros(n, np.int64), 1)
    shares = [time.perf_counter() - begun]
    axes = Axes(np.zeros(d, np.float32), np.ones(d, np.float32), np.eye(d, dtype=np.float32))
    blocks = Blocks(X.shape, lambda start, stop: X[start:stop].copy(), n)
    design = StreamedDesign(blocks, loss, axes, np.ones(d + 1, np.float32), moments)
    begun = time.perf_counter()
    design.sweep([(loss, np.zeros((loss.width, d + 1), np.float32))])
    shares.append((time.perf_counter() - begun) * n / (n + d))  # a turn of the coefficients is once a reading
    whole = entry.spec.rows / len(block.row)
    return whole * (read + shares[0]), whole * (read + shares[1])
