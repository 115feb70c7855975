"""Corrections of the train-test resolution gap on cached features: no trunk runs, no label is needed.

The statistics of pooled features move with resolution: at a larger one more cells are averaged, so features are
less sparse and less spread (Touvron et al. 2019, section 3.2). Each correction maps features seen at test_res
back to the statistics of training features at train_res, learnt from training images seen at both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .linear import LinearHead

Features = NDArray[np.float32]

CORRECTIONS = ("none", "standardize", "frechet")
_XI = 0.3  # shape of the paper's Frechet law
# The central 98 % of a channel: its tails do not bend the fit.
_PROBABILITIES = np.linspace(0.01, 0.99, 50)


@dataclass(frozen=True, eq=False)
class Correction:
    """The map ``(x - centre) * ratio + target`` of features at test_res; each float32, shape (D,)."""

    centre: Features
    ratio: Features
    target: Features

    def __call__(self, X: Features) -> Features:
        """Features ``X`` (n, D) or (n, V, D), corrected: float32, same shape."""
        return np.asarray((X - self.centre) * self.ratio + self.target, np.float32)

    def invert(self, X: Features) -> Features:
        """Uncorrected features of which corrected ones are ``X`` (n, D); the centre, where all have one value."""
        ratio = np.where(self.ratio == 0, np.float32(np.inf), self.ratio)
        return np.asarray((X - self.target) / ratio + self.centre, np.float32)

    def fold(self, head: LinearHead) -> LinearHead:
        """The head that scores uncorrected features as ``head`` scores corrected ones, but for rounding."""
        coef = head.coef * self.ratio
        intercept = head.intercept + head.coef @ self.target - coef @ self.centre
        return LinearHead(coef, np.asarray(intercept, np.float32), head.strength)


def fit_correction(name: str, trained_on: Features, seen_at_test: Features) -> Correction:
    """A map of features at test_res to the statistics of the head's training features.

    Parameters
    ----------
    name : {"none", "standardize", "frechet"}
    trained_on : float32 array, shape (n, D)
        Training features at train_res: the rows that the head is fitted on.
    seen_at_test : float32 array, shape (m, D)
        The training images as val and test images are seen, at test_res.

    Returns
    -------
    Correction

    Raises
    ------
    ValueError
        If ``name`` is none of `CORRECTIONS`.
    """
    if name == "none":
        zero: Features = np.zeros(trained_on.shape[1], np.float32)
        return Correction(zero, np.ones_like(zero), zero)
    if name == "standardize":
        return _standardize(trained_on, seen_at_test)
    if name == "frechet":
        return _map_frechet(trained_on, seen_at_test)
    raise ValueError(f"unknown correction {name!r}: expected one of {', '.join(CORRECTIONS)}")


def _standardize(target: Features, source: Features) -> Correction:
    mean, wanted = source.mean(0), target.mean(0)
    spread, wanted_spread = source.std(0), target.std(0)
    ratio = wanted_spread / np.where(spread > 0, spread, 1)
    return Correction(mean, ratio, wanted)


def _map_frechet(target: Features, source: Features) -> Correction:
    """Per channel, ``F_target^-1(F_source(x))`` with both laws generalised extreme value, shape xi = .3.

    Of one shape, the map between two such laws is linear: ``(x - m) / s * s' + m'``, where location m and
    scale s follow from a channel's quantiles, which are linear in the law's standard quantiles.
    """
    location, scale = _fit_frechet(source)
    wanted_location, wanted_scale = _fit_frechet(target)
    ratio = np.asarray(wanted_scale / np.where(scale > 0, scale, 1), np.float32)
    return Correction(location, ratio, wanted_location)


def _fit_frechet(X: Features) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Location and scale of each channel by least squares of its quantiles on the law's: (D,) each."""
    standard = ((-np.log(_PROBABILITIES)) ** -_XI - 1) / _XI
    quantiles = np.quantile(X, _PROBABILITIES, axis=0)
    centred = standard - standard.mean()
    scale = centred @ quantiles / (centred @ centred)
    location = quantiles.mean(0) - scale * standard.mean()
    return np.asarray(location, np.float32), np.asarray(scale, np.float32)
