"""Options of commands that fit heads, each declared once."""

from __future__ import annotations

import click

from .completion import complete_heads
from .options import all_of, choice, option

pairs = option("--pairs", help="As in 128:224,224:128+224, or seed. [default: every pair in the cache]")
heads = option(
    "--heads",
    shell_complete=complete_heads,
    help="all, or of logistic,ridge,lda,mean,knn,sgd. [default: logistic; of numbers ridge]",
)
strengths = option("--strengths", help="full, or values of C as in 1e-3,1e-2. [default: searched coarse to fine]")
top = option("--top", type=click.IntRange(1), help="Show so many of the best on val. [default: all]")

makes_cells = all_of(
    pairs,
    heads,
    option(
        "--gap",
        default="none",
        show_default=True,
        help="all, or some of none,standardize,frechet,refit,batchnorm (that after extract --recalibrate).",
    ),
    option("--test-view", default="center", show_default=True, help="Some of center,five,ten."),
    option(
        "--mean-of",
        type=choice("probabilities", "features"),
        default="probabilities",
        show_default=True,
        help="What to average over several views of a test image.",
    ),
    option("--refit", is_flag=True, help="Fit what val chose once more on train and val before test is scored."),
    option("--drop-duplicates", is_flag=True, help="Train without the images that val or test holds as well."),
    strengths,
    option(
        "--folds",
        type=click.IntRange(2),
        help="Choose by so many folds of train and val instead of by val. [default: val chooses]",
    ),
    option(
        "--repeats",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Deals of folds, or draws of --curve.",
    ),
    option("--fold-seed", type=int, default=0, show_default=True, help="Of the first deal."),
    option(
        "--metric",
        help="What chooses: accuracy, balanced, f1, auroc; kappa of an order, map or auroc of several labels, r2 "
        "of numbers. [default: accuracy; of other labels kappa, map, r2]",
    ),
    option(
        "--class-weight",
        type=click.Choice(["none", "balanced"]),
        default="none",
        show_default=True,
        help="Whether the training images of each class together weigh alike.",
    ),
    option(
        "--memory",
        help="What a fit may take, as in 4GB or 50%; larger features stay on disk. [default: half of what is free]",
    ),
)
"""Of every command that fits heads; see `fixgrid.GridRequest`."""
