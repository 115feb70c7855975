"""What is said of a trunk's pixels: by a user, in options or in Python, and to the user. Free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from fixgrid.cache.errors import UsageError
from fixgrid.cache.view import CROP_MODES, INTERPOLATIONS, MAX_CROP_RATIO, MIN_CROP_RATIO

from .preprocess import Preprocess, write_channels

LOOK = ("mean", "std", "interpolation", "crop_ratio", "crop_mode")
"""Fields of `Preprocess`, and of a view, that say how pixels are prepared; each is an option."""


def read_look(
    mean: object = None,
    std: object = None,
    interpolation: object = None,
    crop_ratio: object = None,
    crop_mode: object = None,
) -> dict[str, Any]:
    """What a user says of the pixels in place of the weights' own metadata, in the words of keys.

    Parameters
    ----------
    mean, std : str, number or three numbers, optional
        ``"0.5,0.5,0.5"``, or one number for all three channels.
    interpolation, crop_mode : str, optional
        See `fixgrid.cache.view.View`.
    crop_ratio : str or number, optional

    Returns
    -------
    dict
        The fields of `Preprocess`, and of a view, that were given.

    Raises
    ------
    UsageError
        If one is none that an input can have.
    """
    look: dict[str, Any] = {}
    for name, values in (("mean", mean), ("std", std)):
        if values is not None:
            look[name] = read_channels(name, _list_numbers(values))
    for name, value, known in (
        ("interpolation", interpolation, INTERPOLATIONS),
        ("crop_mode", crop_mode, CROP_MODES),
    ):
        if value is not None:
            look[name] = expect_one_of(name, value, known)
    if crop_ratio is not None:
        number = _read_number(crop_ratio)
        look["crop_ratio"] = read_ratio(crop_ratio if number is None else number)
    return look


def read_channels(name: str, values: object) -> tuple[str, str, str]:
    """Mean or std as decimal strings.

    Raises
    ------
    UsageError
        If it is not three numbers in 0..1, or a std is 0.
    """
    found = list(values) if isinstance(values, Sequence) and not isinstance(values, str) else [values]
    numbers = [number for number in map(_read_number, found) if number is not None]
    if len(found) != 3 or len(numbers) != 3:
        raise UsageError(f"found the {name} {_show(found)}; expected three numbers in 0..1, for R, G and B.")
    if max(numbers) > 1 or min(numbers) < 0 or (name == "std" and min(numbers) == 0):
        span = "above 0 and up to 1" if name == "std" else "0 to 1"
        raise UsageError(
            f"found the {name} {_show(found)}; expected numbers {span}, for pixels in 0..1: divide what is meant "
            "for 0..255 by 255."
        )
    return write_channels(found)


def read_ratio(value: object) -> str:
    """Crop side over resized side as a decimal string.

    Raises
    ------
    UsageError
        If it is no number in the range that views take.
    """
    number = _read_number(value)
    if number is None or not MIN_CROP_RATIO <= number <= MAX_CROP_RATIO:
        raise UsageError(
            f"found the crop ratio {value}; expected a number, {MIN_CROP_RATIO} to {MAX_CROP_RATIO}, such as "
            "0.875: the crop's side over the resized side."
        )
    return str(value)


def expect_one_of(name: str, value: object, known: Sequence[str]) -> str:
    """The value, if it is one of those known.

    Raises
    ------
    UsageError
    """
    if value not in known:
        raise UsageError(f"found the {name.replace('_', ' ')} {value!r}; expected one of {', '.join(known)}.")
    return str(value)


def name_options(names: Iterable[str]) -> str:
    """Fields as the options that set them: ``--mean, --crop-ratio``."""
    return ", ".join("--" + name.replace("_", "-") for name in names)


def describe_look(look: Preprocess, names: Iterable[str] = LOOK) -> str:
    """Fields in words, as ``mean 0.5; std 0.5; bicubic; crop ratio 0.9; center crop``; equal channels once."""
    words = {
        "mean": f"mean {', '.join(dict.fromkeys(look.mean))}",
        "std": f"std {', '.join(dict.fromkeys(look.std))}",
        "interpolation": look.interpolation,
        "crop_ratio": f"crop ratio {look.crop_ratio}",
        "crop_mode": f"{look.crop_mode} crop",
    }
    return "; ".join(words[name] for name in names)


def attribute_look(look: Preprocess, origins: Mapping[str, str]) -> str:
    """The same, and whose word each is, as ``mean 0.5 (your --mean); bicubic (timm's metadata)``."""
    parts = [(describe_look(look, names), whose) for whose, names in _group(origins)]
    return "; ".join(f"{what} ({whose})" for what, whose in parts)


def _group(origins: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    return [(whose, list(names)) for whose, names in groupby(LOOK, lambda name: origins[name])]


def _list_numbers(values: object) -> list[object]:
    """Three values of R, G and B, numbers where they are such; one counts for all three."""
    texts = values.split(",") if isinstance(values, str) else values
    parts = list(texts) if isinstance(texts, Iterable) else [texts]
    read = [part if (number := _read_number(part)) is None else number for part in parts]
    return read * 3 if len(read) == 1 and isinstance(read[0], float) else read


def _read_number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if float("-inf") < number < float("inf") else None


def _show(values: Iterable[object]) -> str:
    return ",".join(map(str, values)) or "''"
