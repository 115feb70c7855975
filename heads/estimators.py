"""The heads as scikit-learn estimators: for pipelines, grid searches and anything else that takes a classifier."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .families import FAMILIES
from .metrics import log_softmax
from .select import Head


class HeadClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """One head of one family; subclasses name the family and its strength.

    Attributes
    ----------
    classes_ : array, shape (K,)
        Labels, sorted.
    head_ : Head
        Fitted on labels 0 to K - 1.
    n_features_in_ : int
    """

    _family: str

    def _strength(self) -> float:
        raise NotImplementedError

    def fit(self, X: ArrayLike, y: ArrayLike) -> HeadClassifier:
        """Fit on features ``X`` (n, D), taken as float32, and labels ``y`` (n,).

        Raises
        ------
        ValueError
            If there are fewer than two classes, or X or y is not what a classifier takes.
        """
        rows, labels = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(labels)
        self.classes_, index = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"found {len(self.classes_)} class, expected at least two: give more labels")
        path = FAMILIES[self._family][0](rows, index.astype(np.int64), len(self.classes_))
        self.head_: Head = path.head(self._strength())
        return self

    def decision_function(self, X: ArrayLike) -> NDArray[np.float32]:
        """Scores: (n, K), or for two classes that of the second over the first, (n,)."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """The label with the highest score: shape (n,)."""
        index = self._scores(X).argmax(1)
        return np.asarray(self.classes_[index])

    def _scores(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return np.asarray(self.head_.scores(rows))  # float64 stays: a float32 product depends on its batch


class _Probable(HeadClassifier):
    """A head whose scores are logits."""

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities of the classes: float64, shape (n, K)."""
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Their logarithms: float64, shape (n, K)."""
        return log_softmax(self._scores(X))


class LogisticHead(_Probable):
    """Multinomial logistic regression on standardised features, to 1e-4 of its optimum.

    Parameters
    ----------
    C : float
        Multiplies the sum of losses, as scikit-learn's.
    """

    _family = "logistic"

    def __init__(self, C: float = 1.0):
        self.C = C

    def _strength(self) -> float:
        return _expect_positive("C", self.C)


class SGDHead(_Probable):
    """Softmax trained by minibatch gradient descent with momentum on standardised features, for 30 epochs.

    Parameters
    ----------
    rate : float
        Learning rate of the first step; a cosine brings it to zero.
    """

    _family = "sgd"

    def __init__(self, rate: float = 0.01):
        self.rate = rate

    def _strength(self) -> float:
        return _expect_positive("rate", self.rate)


class RidgeHead(HeadClassifier):
    """Least squares on targets +1 and -1, on standardised features.

    Parameters
    ----------
    alpha : float
        Penalty against the sum of squares, as scikit-learn's.
    """

    _family = "ridge"

    def __init__(self, alpha: float = 1.0):
        self.alpha = alpha

    def _strength(self) -> float:
        return _expect_positive("alpha", self.alpha)


class LDAHead(_Probable):
    """Linear discriminants with a shrunk pooled covariance.

    Parameters
    ----------
    shrinkage : float
        In (0, 1].
    """

    _family = "lda"

    def __init__(self, shrinkage: float = 0.1):
        self.shrinkage = shrinkage

    def _strength(self) -> float:
        if _expect_positive("shrinkage", self.shrinkage) > 1:
            raise ValueError(f"found shrinkage {self.shrinkage!r}, expected at most 1: give a smaller one")
        return self.shrinkage


class NearestMeanHead(HeadClassifier):
    """Nearest class mean on standardised features."""

    _family = "mean"

    def _strength(self) -> float:
        return 1.0


class NeighbourVotes(_Probable):
    """Nearest neighbours by cosine; probabilities are shares of their votes.

    Parameters
    ----------
    k : int
        Neighbours asked; of fewer training rows, all.
    """

    _family = "knn"

    def __init__(self, k: int = 20):
        self.k = k

    def _strength(self) -> float:
        return _expect_positive("k", self.k)


ESTIMATORS: dict[str, type[HeadClassifier]] = {
    made._family: made for made in (LogisticHead, SGDHead, RidgeHead, LDAHead, NearestMeanHead, NeighbourVotes)
}


def _expect_positive(name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"found {name} {value!r}, expected a number above 0: give a larger one")
    return value
