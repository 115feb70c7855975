"""What the report's page calls things, by what labels are, and what its words mean."""

from __future__ import annotations

from .answers import Answers

NAMES = {
    "logistic": "a logistic head",
    "ridge": "a ridge head",
    "lda": "linear discriminants",
    "mean": "nearest class means",
    "knn": "nearest neighbours",
    "sgd": "a softmax head by gradient descent",
}
_OF_CLASSES = {
    "classes": "Classes",
    "drawn": "Recall of each class, the worst first, with 95 % intervals.",
    "table": "Test images of each class. Recall: of the class, recognised. Precision: of those called so, right.",
    "reliability": "Calibrated answers lie on the dashed line; larger dots stand for more images.",
    "mistakes": "Surest mistakes",
    "all": "All mistakes",
    "listed": "The surest first.",
    "counts": "Images per class and split.",
}
WORDS = {
    "multiclass": _OF_CLASSES,
    "ordinal": {
        **_OF_CLASSES,
        "drawn": "Recall of each class, with 95 % intervals.",
        "mistakes": "Mistakes that are farthest off",
        "listed": "The farthest off first; off: the place of the answer less that of the truth.",
    },
    "multilabel": {
        "classes": "Labels",
        "drawn": "Average precision of each label, the worst first, with 95 % intervals.",
        "table": "Test images of each label. Recall and precision: at the thresholds that val chose; average "
        "precision: over all.",
        "reliability": "Every label of every image: how sure it was of one, and how often it was right. Calibrated "
        "answers lie on the dashed line; larger dots stand for more of them.",
        "mistakes": "Surest mistakes, one of an image",
        "all": "All images with a mistake",
        "listed": "The surest first; wrong: the label that it is surest of and wrong about, with the probabilities "
        "of both answers.",
        "counts": "Images per label and split; an image may have several.",
    },
    "regression": {"mistakes": "Largest errors", "all": "All errors", "listed": "The largest first."},
}
"""What a page calls things, by what labels are."""
_MEANINGS = {
    "tie": "A cell that val, test or both cannot tell from the chosen one, at 5 % for all comparisons together.",
    "front": "Cells that are better on val than every one that costs as little.",
    "cheapest tie": "The cell of least compute that val cannot tell from the chosen one.",
    "GMAC": "Billions of multiply-adds of the trunk for one test image, all of its crops together.",
    "temperature": "Scores are divided by it before they become probabilities. It was fitted on JUDGES.",
}
_OF_FIGURES = {
    "calibration": "How far probabilities are from how often they are right, on average over bins (ECE).",
    "nll": "Minus the logarithm of the probability of the true answer, on average.",
    "coverage": "predict --coverage gives sets or intervals that hold the true answer for so many images of "
    "JUDGES: how many of test's do.",
    "unknown": "predict --unknown marks images that are stranger than nearly all of JUDGES, so that so many are "
    "called unknown for nothing: how many of test's are.",
    "auroc": "Chance that an image of a class has a higher probability of it than one of another class.",
    "map": "Average precision of each label's ranking of the images, the mean over labels.",
    "kappa": "Agreement beyond chance, where classes farther off count more: 1 is perfect.",
    "r2": "Share of the numbers' variance that the answers explain.",
}


def list_meanings(answers: Answers, costs: bool, judges: str) -> list[tuple[str, str]]:
    """Words of a page and what they mean, as far as it uses them.

    Parameters
    ----------
    answers : Answers
    costs : bool
        Whether it says what cells cost.
    judges : str
        What chose and calibrated, in words.
    """
    unused = set() if costs else {"front", "cheapest tie", "GMAC"}
    unused |= {"temperature"} if answers.task == "regression" else set()
    titles = {figure.title: figure.name for figure in answers.figures.figures}
    said = [(word, meaning) for word, meaning in _MEANINGS.items() if word not in unused]
    for begin, meaning in _OF_FIGURES.items():
        said += [(title, meaning) for title, name in titles.items() if name.startswith(begin)][:1]
    return [(word, meaning.replace("JUDGES", judges)) for word, meaning in said]
