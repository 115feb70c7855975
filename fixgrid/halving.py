"""Search: several trunks at several resolutions, within a budget, and the grid of those that val kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from .asking import takes
from .cache.errors import DataError, UsageError
from .cache.holdings import Holdings
from .cache.labels import find_version
from .cache.rows import Manifest, Rows, find_strata
from .cache.shares import rank_images, take_share
from .cache.store import FeatureStore
from .embed.extraction import Extraction
from .embed.replica import adopt_known
from .embed.trunks.costs import COSTS_FILE, recall_costs
from .embed.trunks.identity import KnownTrunk
from .extracting import ask_extractions, expect_usable, read_share, say_remarks
from .fitting import make_grid
from .heads.ask import ask_cache
from .heads.fit import choose_best
from .heads.halving import Pass, explain_drops, keep_best, plan_shares
from .heads.question import Asked
from .heads.table import show_trunk
from .recording import records
from .search_requests import Budget, SearchRequest, read_budget
from .search_results import Rung, Search, say_rung
from .weighing import measure_ms, weigh

SHARES = "shares"
"""Where a cache keeps features of shares of a data set; its other commands never meet them."""
_FIRST_MS = 30.0  # of a core per GMAC, until it is measured
_LEAST_PER_CLASS, _LEAST_VAL, _MOST_FIRST = 2, 30, 0.5  # training images, val images and share that judge first


def _summarise(found: Search) -> dict[str, Any]:
    best = found.grid.best
    place = {**best.axes._asdict(), "train_res": best.train_res, "test_res": best.test_res}
    return {"gmac": found.gmac, "full_gmac": found.full_gmac, "rungs": len(found.rungs), **place}


@takes(SearchRequest)
@records(_summarise)
def search(request: SearchRequest) -> Search:
    """Extract by several trunks at several resolutions and make the grid; within a budget, by successive halving.

    Without a budget all passes see all images. Within one, all see a small share of the training and val images
    first, and those whose cells are best on val see more (`fixgrid.heads.halving`). Test images are seen by what is
    left at the end. What was computed for a share is part of the whole, and of a later search.

    Arguments are those of `SearchRequest`.

    Raises
    ------
    FixgridError
        As `fixgrid.extract` and `fixgrid.grid`; or if the budget is too small for the first share.
    """
    budget = read_budget(request.budget) if request.budget else None
    asked = ask_extractions(request)
    manifest = asked[0][0].manifest
    if manifest.task == "unlabelled":
        raise DataError(
            f"found no labels in {manifest.source}, expected class folders or a table to search by; extract gives "
            "features without."
        )
    return _Searching(request, asked, budget).run()


@dataclass
class _Searching:
    """A search while it lasts."""

    request: SearchRequest
    asked: list[tuple[Extraction, KnownTrunk]]
    budget: Budget | None
    began: float = field(default_factory=time.monotonic)
    gmac: float = 0.0
    spent: float = 0.0
    rungs: list[Rung] = field(default_factory=list)

    def run(self) -> Search:
        kept = {Pass(one.trunk.name, view.res) for one, _ in self.asked for view in one.views["train"]}
        full = sum(self._count(one, "mac", 0, 1) for one in kept)
        seen = 0.0
        if self.budget:
            unit = self.budget.unit
            shares = plan_shares(
                self._find_least(), [self._count(one, unit, 0, 1) for one in kept], self.budget.amount
            )
            self._expect_room(shares, kept)
            for step, share in enumerate(shares[:-1], 1):
                kept = self._climb(kept, seen, share, shares[step], len(shares) - step)
                seen = share
        self.gmac += sum(self._count(one, "mac", seen, 1) for one in kept)
        grid = make_grid(self._see(kept, 1), self.request.on_cell, self.request.watcher)
        return Search(grid, self.rungs, self.gmac, full, self._elapse())

    def _climb(self, kept: set[Pass], seen: float, share: float, next_share: float, left: int) -> set[Pass]:
        """Let passes see a share of the images, and choose those that see the next."""
        assert self.budget is not None
        began, unit = self._elapse(), self.budget.unit
        gmac = sum(self._count(one, "mac", seen, share) for one in kept)
        asks = self._see(kept, share)
        verdict = choose_best(asks, phase=self.request.watcher.phase).verdict
        self.gmac += gmac
        self.spent += sum(self._count(one, unit, seen, share) for one in kept)
        used = self._elapse() if unit == "s" else self.spent
        costs = {one: self._count(one, unit, share, next_share) for one in kept}
        chosen = keep_best(verdict, costs, max(0.0, self.budget.amount - used) / left)
        best = verdict.best
        rung = Rung(
            share,
            sum(len(rows) for rows in asks[0].holdings.manifest.splits.values()),
            len(kept),
            gmac,
            self._elapse() - began,
            f"{show_trunk(best.axes.trunk)} {best.train_res}:{best.test_res} px",
            best.val.value,
            tuple(one for one in explain_drops(verdict, chosen, share) if one.passed in kept),
            best.metric,
        )
        self.rungs.append(rung)
        self.request.watcher.notice(f"note: {say_rung(rung).replace(chr(10), '; ')} {len(rung.dropped)}")
        return chosen

    def _see(self, kept: set[Pass], share: float) -> list[Asked]:
        """The questions of the passes that are kept, once their trunks have seen a share of the images."""
        from .embed.machine import extract_here

        main, shares = (FeatureStore(self.request.folder, part) for part in ("", SHARES))
        mine = []
        for extraction, trunk in self.asked:
            narrow = _narrow(extraction, kept, "test" if share < 1 else "")
            if not narrow.views["train"]:
                continue
            if share < 1:
                images = _take(extraction.manifest, share, self.request.seed)
                narrow = replace(narrow, store=shares, manifest=images)
            adopt_known(narrow, main if share < 1 else shares)
            mine.append((narrow, trunk))
        max_bad = 0.0 if self.request.strict else read_share(self.request.max_bad)
        outcome = extract_here(mine, self.request.watcher, self.request.machine, max_bad=max_bad)
        expect_usable([narrow for narrow, _ in mine], outcome, self.request.watcher, whole=share == 1)
        if share == 1:
            say_remarks([narrow for narrow, _ in mine], self.request.watcher)
        # What a share's cells are is not worth remembering, and they have no test images.
        cells = self.request.folder / "cells" if share == 1 else None
        return [ask for extraction, _ in mine for ask in self._ask(extraction, cells)]

    def _ask(self, extraction: Extraction, cells: Path | None) -> list[Asked]:
        request, asks = self.request, []
        for node, _ in extraction.trunk.nodes:
            holdings = _hold(extraction, node)
            asks.append(
                ask_cache(
                    holdings,
                    cells,
                    pairs=request.choose_pairs(holdings.resolutions("train", "center")),
                    heads=request.heads,
                    strengths=request.strengths,
                    costs=partial(weigh, request.folder),
                )
            )
        return asks

    def _find_least(self) -> float:
        """The smallest share of the images that can be judged."""
        splits = self.asked[0][0].manifest.splits
        classes = len(self.asked[0][0].manifest.classes)
        least = max(_LEAST_PER_CLASS * classes / len(splits["train"]), _LEAST_VAL / len(splits["val"]))
        return min(_MOST_FIRST, least)

    def _expect_room(self, shares: Sequence[float], kept: set[Pass]) -> None:
        assert self.budget is not None
        first = sum(self._count(one, self.budget.unit, 0, shares[0]) for one in kept)
        if len(shares) > 1 and first > self.budget.amount:
            names = {"s": "s", "mac": "GMAC", "images": "images"}
            unit = names[self.budget.unit]
            raise UsageError(
                f"found --budget {self.request.budget}, but the first {shares[0]:.0%} of the images take "
                f"{first:.0f} {unit} in {len(kept)} passes; expected more, or fewer trunks or resolutions: "
                f"--budget {4 * first:.0f}{unit} lets val choose."
            )

    def _count(self, one: Pass, unit: str, seen: float, share: float) -> float:
        """What a pass over the images between two shares takes, in a unit of `Budget`; test goes with the last."""
        extraction, trunk = next(asked for asked in self.asked if asked[0].trunk.name == one.trunk)
        crops = 0.0
        for split, views in extraction.views.items():
            part = float(share == 1) if split == "test" else share - seen
            crops += part * len(extraction.manifest.splits[split]) * sum(v.count for v in views if v.res == one.res)
        if unit == "images":
            return crops
        memo = self.request.folder / COSTS_FILE
        _, macs = recall_costs(trunk.facts.architecture, [one.res], memo, trunk.load)
        gmac = macs[one.res] / 1e9
        if unit == "mac":
            return crops * gmac
        ms = measure_ms(self.request.folder, extraction.trunk, one.res) or gmac * _FIRST_MS
        return crops * ms / 1e3 / self.request.machine.size(trunk.facts.weights_bytes).workers

    def _elapse(self) -> float:
        return time.monotonic() - self.began


def _narrow(extraction: Extraction, kept: set[Pass], without: str) -> Extraction:
    """The views of an extraction whose passes are kept, without those of one split."""
    name = extraction.trunk.name
    views = {
        split: [view for view in views if Pass(name, view.res) in kept]
        for split, views in extraction.views.items()
        if split != without
    }
    return replace(extraction, views=views)


def _take(manifest: Manifest, share: float, seed: int) -> Manifest:
    """A share of the training and val images of every class: a larger one holds every image of a smaller one."""

    def take(rows: Rows) -> Rows:
        return rows.take(take_share(find_strata(rows.labels), rank_images(rows.sha256, seed), share))

    return replace(manifest, splits={split: take(manifest.splits[split]) for split in ("train", "val")})


def _hold(extraction: Extraction, node: str) -> Holdings:
    """What an extraction has sealed, of one kind of features."""
    places = {
        (split, view.kind, view.res): entry.open()
        for (split, view, kind), entry in extraction.entries.items()
        if kind == node
    }
    version = find_version(next(iter(places.values())).spec)
    return Holdings(extraction.manifest, extraction.trunk.name, places, node, version)
