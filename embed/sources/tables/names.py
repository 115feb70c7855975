"""What people call the columns of their tables, by what these mean: patterns for names without case and blanks."""

from __future__ import annotations

import re

IMAGES = (
    r"paths?|images?|imgs?|files?|(image|img)(path|file|name|filename)s?|file(name|path)s?|fname",
    r"(image|img)id|idcode",
    r"id",
    r"name",
)
"""In tiers: only where a table has none of the first do the next ones name images."""
ADDRESSES = r"(image|img)?ur[li]s?|link"
LABELS = r"labels?|class(es)?|categor(y|ies)|targets?|tags?|(class|label|category)name|breed|species|diagnosis|dx|y"
SPLITS = r"split|subset|partition"
LOOSE_SPLITS = r"(data)?set|phase|usage"
"""Splits only if every cell is a word for one: such columns often say something else."""
MARKS = {
    r"istrain(ing|ingimage)?": "train",
    r"isval(id|idation)?": "val",
    r"istest(ing)?": "test",
}
"""Columns that say true or false of one split."""
GROUPS = r"(group|patient|subject|slide|video|clip|session)(id)?"
FOLDS = r"k?folds?"
BOXES = r"[xy](min|max|[0-3])|bbox|boxes|bndbox"
"""Parts of images, which is not what is listed."""


def means(name: str, pattern: str) -> bool:
    """Whether a column's name fits a pattern.

    >>> means("Image-Path ", IMAGES[0])
    True
    """
    return bool(re.fullmatch(pattern, reduce_name(name)))


def reduce_name(name: str) -> str:
    """A column's name without case, blanks, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", name).lower()


def find_mark(name: str) -> str:
    """The split that a column says true or false of; empty if of none."""
    return next((split for pattern, split in MARKS.items() if means(name, pattern)), "")


def is_known(name: str) -> bool:
    """Whether a column so called means something."""
    return any(
        means(name, one) for one in (*IMAGES, ADDRESSES, LABELS, SPLITS, LOOSE_SPLITS, *MARKS, GROUPS, FOLDS)
    )


def names_images(name: str) -> bool:
    """Whether a column so called holds paths of images."""
    return any(means(name, tier) for tier in IMAGES)
