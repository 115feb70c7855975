"""What the options of a grid mean: which features, which pairs of resolutions, which heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fixgrid.cache.errors import UsageError, say_command
from fixgrid.cache.holdings import RECALIBRATED, Holdings

from .families import FAMILIES, expect_families, families_for
from .gap import CORRECTIONS
from .logistic import DINOV2_C
from .measures import find_measure
from .pool import fold_ask
from .question import Asked, GridOptions, Pair, Weigh
from .source import Shelf, Source
from .streaming import stream_ask
from .twin_table import say_unseen
from .twins import OpenCopies, choose_res, drop_twins, expect_classes, find_twins, keep_copies
from .views import list_resolutions

# The rows of the 2020 table this product starts from: train_res, test_res.
SEED_PAIRS: tuple[Pair, ...] = (
    (128, 224),
    (224, 128),
    (224, 224),
    (224, 320),
    (224, 400),
    (320, 224),
    (320, 320),
    (320, 380),
)

TEST_VIEWS = ("center", "five", "ten")
GAPS = tuple(dict.fromkeys(("none", *CORRECTIONS, "refit", "batchnorm")))


def ask_cache(
    holdings: Holdings,
    folder: Path | None,
    *,
    train_view: str | None = None,
    pairs: str | Sequence[Pair] | None = None,
    heads: str | Sequence[str] | None = None,
    gap: str | Sequence[str] = "none",
    test_view: str = "center",
    mean_of: str = "probabilities",
    refit: bool = False,
    drop_duplicates: bool = False,
    strengths: str | Sequence[float] | None = None,
    folds: int | None = None,
    repeats: int = 1,
    fold_seed: int = 0,
    metric: str | None = None,
    class_weight: str = "none",
    memory: int | None = None,
    costs: Weigh | None = None,
    open_copies: OpenCopies | None = None,
) -> Asked:
    """The question that options ask of the features at hand.

    Parameters
    ----------
    holdings : Holdings
    folder : Path or None
        Where cells are remembered.
    train_view : {"train", "center", "both"}, optional
        Views of the training images; random crops if there are any.
    pairs : str or sequence of (train_res, test_res), optional
        As in ``128:224,224:128+224``, or ``seed`` for `SEED_PAIRS`; all that the cache holds if not given.
    heads : str or sequence of str, optional
        Some of `FAMILIES`, or ``all`` that the labels allow; logistic ones, of numbers ridge ones, if not given.
    gap : str or sequence of str
        Some of `GAPS`, or ``all``.
    test_view, mean_of, refit
        See `GridOptions`.
    drop_duplicates : bool
        Train without the images that val or test holds as well.
    strengths : str or sequence of float, optional
        ``full``, or values of C; searched coarse to fine if not given.
    folds : int, optional
        So many folds of train and val choose in place of val; see `heads.pool.fold_ask`.
    repeats, fold_seed : int
        See `heads.deck.Folds`.
    metric : str, optional
        Of `heads.measures.MEASURES`, what chooses and compares; accuracy, or the first of the labels' task.
    class_weight : {"none", "balanced"}
        See `GridOptions`.
    costs : callable, optional
        See `Weigh`.
    memory : int, optional
        Bytes; features that a fit has no room for in them stay on disk, see `heads.streaming.stream_ask`.
    open_copies : callable, optional
        What compares images by their pixels for ``drop_duplicates``; see `heads.twins.find_twins`.

    Raises
    ------
    UsageError
        If an option names what there is not.
    DataError
        If there are no labels.
    CacheError
        If the cache lacks features that an option needs.
    """
    if test_view not in TEST_VIEWS:
        raise UsageError(f"found --test-view {test_view!r}; expected some of {', '.join(TEST_VIEWS)}.")
    task = holdings.manifest.task
    measure = find_measure(task, metric)
    kinds = choose_kinds(holdings, train_view)
    chosen = choose_pairs(holdings, kinds, pairs)
    gaps, notes = choose_gaps(holdings, chosen, gap, test_view)
    families = choose_families(heads, task, balanced=class_weight == "balanced")
    path = DINOV2_C if strengths is None or strengths == "full" else _read_strengths(strengths)
    options = GridOptions(
        kinds,
        test_view,
        mean_of,
        families,
        gaps,
        path,
        coarse=2 if strengths is None else 1,
        refit=refit,
        metric=measure.name,
        class_weight=class_weight,
    )
    if folds is None and repeats != 1:
        raise UsageError(f"found --repeats {repeats} without --folds, expected both: add --folds 5.")
    asked = Asked(
        Shelf(holdings),
        chosen,
        options,
        folder,
        task=task,
        grouped=any(rows.groups is not None for rows in holdings.manifest.splits.values()),
        holdings=holdings,
        dropped=drop_duplicates,
        notes=notes,
        costs=costs,
    )
    if memory is not None:
        more = {"--folds": folds is not None, "--drop-duplicates": drop_duplicates}
        asked = stream_ask(asked, memory, [option for option, given in more.items() if given])
    if drop_duplicates:
        source, note = _drop_duplicates(holdings, open_copies)
        asked = replace(asked, source=source, notes=(*asked.notes, note))
    return asked if folds is None else fold_ask(asked, folds, seed=fold_seed, repeats=repeats)


def choose_families(heads: str | Sequence[str] | None, task: str, *, balanced: bool) -> tuple[str, ...]:
    """Kinds of head that are asked for, or the usual one; ``all`` are those that suit the labels.

    Raises
    ------
    UsageError
        If one is none, or does not suit them.
    """
    usual = "ridge" if task == "regression" else "logistic"
    suited = families_for(task, balanced) if heads == "all" else tuple(FAMILIES)
    families = _choose_some("--heads", usual if heads is None else heads, suited)
    expect_families(families, task, balanced)
    return families


def choose_kinds(holdings: Holdings, train_view: str | None) -> tuple[str, ...]:
    """Kinds of view that heads are fitted on: random crops if the cache has them and nothing else is asked for.

    Raises
    ------
    UsageError
        If others than train, center or both are asked for.
    """
    if train_view not in (None, "train", "center", "both"):
        raise UsageError(f"found --train-view {train_view!r}; expected some of train, center and both.")
    if train_view is None:
        return ("train",) if holdings.resolutions("train", "train") else ("center",)
    return ("train", "center") if train_view == "both" else (train_view,)


def choose_pairs(
    holdings: Holdings, kinds: tuple[str, ...], asked: str | Sequence[Pair] | None
) -> tuple[Pair, ...]:
    """Pairs of resolutions, px, without repeats; all that the cache holds if none are named."""
    named = read_pairs(asked)
    if named is not None:
        return named
    judged = [split for split in ("val", "test") if split in holdings.manifest.splits]
    train, test = (
        set.intersection(*(set(holdings.resolutions(*place)) for place in places))
        for places in ([("train", kind) for kind in kinds], [(split, "center") for split in judged])
    )
    return tuple((a, b) for a in sorted(train) for b in sorted(test))


def read_pairs(asked: str | Sequence[Pair] | None) -> tuple[Pair, ...] | None:
    """Pairs of resolutions, px, from ``128:224,224:128+224``, ``seed`` or numbers; None if none are named.

    Raises
    ------
    UsageError
        If one is none.
    """
    if asked is None:
        return None
    if asked == "seed":
        return SEED_PAIRS
    texts = asked.split(",") if isinstance(asked, str) else [f"{train}:{test}" for train, test in asked]
    return tuple(dict.fromkeys(map(read_pair, texts)))


def choose_gaps(
    holdings: Holdings, pairs: Sequence[Pair], asked: str | Sequence[str], test_view: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Corrections that are named, and notes; ``all`` has batchnorm only where the cache holds it for every pair."""
    chosen = _choose_some("--gap", asked, GAPS)
    if "batchnorm" in chosen:
        sides = {res for _, test_res in pairs for res in list_resolutions(test_res)}
        needed = {(split, RECALIBRATED + test_view, res) for split in ("val", "test") for res in sides}
        if needed <= holdings.entries.keys():
            return chosen, ()
        if asked != "all":  # the training images at these resolutions may be lacking, too
            holdings.expect([*sorted(needed), *(("train", "center", res) for res, _ in pairs)])
        else:
            note = "without --gap batchnorm, which needs extract --recalibrate at every test resolution"
            return chosen[:-1], (note,)
    return chosen, ()


def _choose_some(option: str, asked: str | Sequence[str], known: tuple[str, ...]) -> tuple[str, ...]:
    if asked == "all":
        return known
    chosen = tuple(part.strip() for part in (asked.split(",") if isinstance(asked, str) else asked))
    for name in chosen:
        if name not in known:
            raise UsageError(f"found {option} {name!r}; expected all, or some of {','.join(known)}.")
    return chosen


def _read_strengths(asked: str | Sequence[float]) -> tuple[float, ...]:
    try:
        values = {float(part) for part in (asked.split(",") if isinstance(asked, str) else asked)}
    except ValueError:
        values = {-1.0}
    if not all(0 < value < float("inf") for value in values):
        raise UsageError(f"found --strengths {asked!r}; expected full, or numbers above 0, as in 1e-3,1e-2.")
    return tuple(sorted(values))


def _drop_duplicates(holdings: Holdings, open_copies: OpenCopies | None) -> tuple[Source, str]:
    """The features without the training images that val or test holds too, and how many those are."""
    res = choose_res(holdings)
    twins, unseen = find_twins(holdings, res, images=open_copies(holdings) if open_copies else None)
    copies = keep_copies(twins, sum(map(len, holdings.manifest.splits.values())))
    subset = drop_twins(holdings, res, copies)
    before = holdings.load("train", "center", res).row
    dropped = len(before) - len(subset.rows)
    expect_classes(holdings.manifest.splits["train"], before, subset.rows, holdings.manifest.classes)
    spared = ", near ones stay, since so many look alike to this trunk" * (len(copies) < len(twins))
    return Shelf(subset), (
        f"{dropped} training images dropped, val or test has them{spared}; "
        f"{say_command('duplicates')}: {len(twins)} pairs{say_unseen(unseen)}"
    )


def read_pair(text: str) -> Pair:
    """A pair from ``128:224``, or from ``128:224+320`` to average each test image over both resolutions.

    Raises
    ------
    UsageError
        If the text is neither.
    """
    train, _, test = text.partition(":")
    parts = [part.strip() for part in (train, *test.split("+"))]
    seen = sorted({int(part) for part in parts[1:] if part.isdecimal()})
    if not (parts[0].isdecimal() and len(seen) == len(parts) - 1):
        raise UsageError(
            f"found the pair {text!r}; expected train_res:test_res in px, as in 128:224, or 128:224+320 to average "
            "over test resolutions, each named once."
        )
    return int(parts[0]), seen[0] if len(seen) == 1 else "+".join(map(str, seen))
