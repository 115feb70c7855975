"""What an extraction is asked for: which views of which splits, at which resolutions."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from fixgrid.cache.errors import UsageError
from fixgrid.cache.view import KINDS, MAX_RES_PX, MIN_RES_PX, View, resize_side

from .resample import expect_resampler
from .trunks.preprocess import Preprocess


@dataclass(frozen=True)
class Wanted:
    """How images are to be seen, as far as the trunk's weights do not say it.

    Attributes
    ----------
    resolutions : tuple of int, px
        The trunk's own if empty.
    train_views : int
        Seeded ``train`` draws per training image; 0 for none.
    jitter : str
        Of the training draws: ``torch`` or ``full``, see `View`.
    extra : tuple of str
        More kinds: ``val_train`` for the training split, ``whole``, ``five`` and ``ten`` for every split.
    resize, resampler, seed
        See `View`.
    """

    resolutions: tuple[int, ...] = ()
    train_views: int = 2
    jitter: str = "torch"
    extra: tuple[str, ...] = ()
    resize: str = "short-side"
    resampler: str = "pillow"
    seed: int = 0


def choose_views(preprocess: Preprocess, splits: Collection[str], wanted: Wanted) -> dict[str, list[View]]:
    """Views per split: ``center`` of every split, random draws of the training split, and what else is asked for.

    Parameters
    ----------
    preprocess : Preprocess
        Of the trunk's weights.
    splits : collection of str
    wanted : Wanted

    Raises
    ------
    UsageError
        If a kind is unknown, or of training images alone and there are none, this installation cannot resize so,
        or the crop mode leaves nothing to choose.
    """
    extra, train_views = wanted.extra, wanted.train_views
    unknown = [kind for kind in extra if kind not in KINDS]
    if unknown:
        raise UsageError(f"found the view {unknown[0]!r}; expected some of {', '.join(KINDS)}.")

    expect_resampler(wanted.resampler, preprocess.interpolation)

    def view(kind: str, res: int) -> View:
        draws = max(train_views, 1) if kind in ("train", "val_train") else 1
        return View(
            kind=kind,
            res=res,
            interpolation=preprocess.interpolation,
            mean=preprocess.mean,
            std=preprocess.std,
            crop_ratio=preprocess.crop_ratio,
            resize=wanted.resize,
            resampler=wanted.resampler,
            draws=draws,
            seed=wanted.seed,
            jitter=wanted.jitter,
            crop_mode=preprocess.crop_mode,
        )

    if "val_train" in extra and "train" not in splits:
        raise UsageError(
            "found the view val_train of images none of which is for training; expected labels, or some of whole, "
            "five and ten."
        )
    resolutions = wanted.resolutions or (preprocess.native_res,)
    _expect_choice(preprocess, wanted, resolutions)
    views: dict[str, list[View]] = {}
    for split in splits:
        kinds = ["center", *(kind for kind in extra if kind not in ("center", "train", "val_train"))]
        if split == "train":
            kinds += ["train"] * (train_views > 0) + [kind for kind in extra if kind == "val_train"]
        views[split] = [view(kind, res) for res in resolutions for kind in dict.fromkeys(kinds)]
    return views


def _expect_choice(preprocess: Preprocess, wanted: Wanted, resolutions: Iterable[int]) -> None:
    """Refuse options that say how a photograph's sides are cut where the crop mode takes all of it."""
    mode, several = preprocess.crop_mode, {"five", "ten"}.intersection(wanted.extra)
    if mode == "center":
        return
    if wanted.resize != "short-side":
        raise UsageError(
            f"found --resize {wanted.resize} with the crop mode {mode}, which resizes both sides its own way; give "
            "--crop-mode center with it, or leave it out."
        )
    margin = mode == "squash" and all(resize_side(res, preprocess.crop_ratio) > res for res in resolutions)
    if several and not margin:
        raise UsageError(
            f"found the view {min(several)} with the crop mode {mode} and the crop ratio {preprocess.crop_ratio}, "
            "whose crop has no corners to go to; give --crop-mode center with it, or leave the view out."
        )


def read_resolutions(asked: str | int | Sequence[int] | None) -> tuple[int, ...]:
    """Resolutions in px from ``224,320`` or numbers: ascending, without repeats; none from None.

    Raises
    ------
    UsageError
        If one is not a whole number of px from 8 to 2048.
    """
    if asked is None:
        return ()
    texts = re.split(r"[,\s]+", asked.strip()) if isinstance(asked, str) else map(str, _list(asked))
    parts = [part for part in texts if part]
    for part in parts:
        if not part.isdecimal() or not MIN_RES_PX <= int(part) <= MAX_RES_PX:
            expected = f"expected whole px, {MIN_RES_PX} to {MAX_RES_PX}, as in 224,320"
            raise UsageError(f"found the resolution {part!r}; {expected}{_guess_sides(parts)}.")
    if not parts:
        raise UsageError("found no resolution; expected px, as in --res 224,320.")
    return tuple(sorted({int(part) for part in parts}))


def _guess_sides(parts: Sequence[str]) -> str:
    """What to type for ``224x224``, ``224px``, ``(224,224)`` or ``224-320``; empty if the numbers are no sides."""
    texts = [text for part in parts for text in re.split(r"[^\d.]+", part) if text]
    if not texts or not all(text.isdecimal() and MIN_RES_PX <= int(text) <= MAX_RES_PX for text in texts):
        return ""
    return f"; crops are square: --res {','.join(dict.fromkeys(texts))}"


def _list(asked: int | Sequence[int]) -> Sequence[int]:
    return [asked] if isinstance(asked, int) else asked
