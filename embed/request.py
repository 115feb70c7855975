"""What an extraction is asked for: which views of which splits, at which resolutions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from fixgrid.cache.errors import UsageError
from fixgrid.cache.view import KINDS, MAX_RES_PX, MIN_RES_PX, View

from .resample import expect_resampler
from .trunks.preprocess import Preprocess


def choose_views(
    preprocess: Preprocess,
    splits: Iterable[str],
    resolutions: Sequence[int],
    *,
    train_views: int = 2,
    jitter: str = "torch",
    extra: Sequence[str] = (),
    resize: str = "short-side",
    resampler: str = "pillow",
    seed: int = 0,
) -> dict[str, list[View]]:
    """Views per split: ``center`` of every split, random draws of the training split, and what else is asked for.

    Parameters
    ----------
    preprocess : Preprocess
        Of the trunk's weights.
    splits : iterable of str
    resolutions : sequence of int, px
    train_views : int
        Seeded ``train`` draws per training image; 0 for none.
    jitter : str
        Of the training draws: ``torch`` or ``full``, see `View`.
    extra : sequence of str
        More kinds: ``val_train`` for the training split, ``whole``, ``five`` and ``ten`` for every split.
    resize, resampler, seed
        See `View`.

    Raises
    ------
    UsageError
        If a kind is unknown, or this installation cannot resize so.
    """
    unknown = [kind for kind in extra if kind not in KINDS]
    if unknown:
        raise UsageError(f"found the view {unknown[0]!r}; expected some of {', '.join(KINDS)}.")

    expect_resampler(resampler, preprocess.interpolation)

    def view(kind: str, res: int) -> View:
        draws = max(train_views, 1) if kind in ("train", "val_train") else 1
        return View(
            kind=kind,
            res=res,
            interpolation=preprocess.interpolation,
            mean=preprocess.mean,
            std=preprocess.std,
            crop_ratio=preprocess.crop_ratio,
            resize=resize,
            resampler=resampler,
            draws=draws,
            seed=seed,
            jitter=jitter,
        )

    views: dict[str, list[View]] = {}
    for split in splits:
        kinds = ["center", *(kind for kind in extra if kind not in ("center", "train", "val_train"))]
        if split == "train":
            kinds += ["train"] * (train_views > 0) + [kind for kind in extra if kind == "val_train"]
        views[split] = [view(kind, res) for res in resolutions for kind in dict.fromkeys(kinds)]
    return views


def parse_resolutions(text: str) -> list[int]:
    """Resolutions in px from ``224,320``: ascending, without repeats.

    Raises
    ------
    UsageError
        If one is not a whole number of px from 8 to 2048.
    """
    parts = [part for part in re.split(r"[,\s]+", text.strip()) if part]
    for part in parts:
        if not part.isdecimal() or not MIN_RES_PX <= int(part) <= MAX_RES_PX:
            raise UsageError(
                f"found the resolution {part!r}; expected whole px, {MIN_RES_PX} to {MAX_RES_PX}, as in 224,320."
            )
    if not parts:
        raise UsageError("found no resolution; expected px, as in --res 224,320.")
    return sorted({int(part) for part in parts})
