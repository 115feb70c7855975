"""What a shell is told that can be typed next; see `fixgrid.completing`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import click
from click.shell_completion import CompletionItem

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
HEADS = ("all", "logistic", "ridge", "lda", "mean", "knn", "sgd")


def complete_by(function: str, *, files: bool = False) -> Complete:
    """Completion by a function of `fixgrid.completing`, which is imported then; by names of files as well."""

    def complete(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
        found = getattr(import_module("fixgrid.completing"), function)(begun, ctx.params.get("cache") or "features")
        return [*map(CompletionItem, found), *[CompletionItem(begun, type="file")] * files]

    return complete


def complete_heads(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """Kinds of head; of several with commas between them, the last is completed."""
    before, comma, begun = begun.rpartition(",")
    return [CompletionItem(f"{before}{comma}{name}") for name in HEADS if name.startswith(begun)]
