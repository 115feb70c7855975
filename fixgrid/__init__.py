"""Find the train x test resolution and the linear head that classify your images best.

    import fixgrid

    fixgrid.extract("photos", trunk="efficientnet_lite0", res=[128, 224])
    print(fixgrid.grid().best)
    kept = fixgrid.fit_head(out="breeds")
    for prediction in fixgrid.predict("breeds", ["new"]).predictions:
        print(prediction.path, prediction.top)

Every command of the command line is one of these functions. A failure that is the input's or the machine's is a
`FixgridError`, whose text is one line. Nothing slow is imported before a function needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .auditing import label_errors as label_errors
    from .cache.errors import FixgridError as FixgridError
    from .cache.reader import open_store as open  # noqa: F401
    from .cache_requests import GridRequest as GridRequest
    from .cache_requests import HeadRequest as HeadRequest
    from .comparing import nearest as nearest
    from .duplicating import duplicates as duplicates
    from .embed.trunks.own import OwnTrunk as OwnTrunk
    from .evaluating import evaluate as evaluate
    from .exporting import export as export
    from .exporting_features import export_features as export_features
    from .extracting import extract as extract
    from .fitting import curve as curve
    from .fitting import fit_head as fit_head
    from .fitting import grid as grid
    from .halving import search as search
    from .keeping import list_heads as list_heads
    from .looking import clean_cache as clean_cache
    from .looking import doctor as doctor
    from .looking import explain_key as explain_key
    from .looking import list_cache as list_cache
    from .looking import verify_cache as verify_cache
    from .naming import zero_shot as zero_shot
    from .planning import plan as plan
    from .predicting import predict as predict
    from .reporting import report as report
    from .requests import Request as Request
    from .search_requests import SearchRequest as SearchRequest
    from .searching import models as models
    from .validating import choose_again as choose_again
    from .validating import cross_validate as cross_validate

_FACE = {
    "FixgridError": "cache.errors:FixgridError",
    "open": "cache.reader:open_store",
    "OwnTrunk": "embed.trunks.own:OwnTrunk",
    "Request": "requests:Request",
    "extract": "extracting:extract",
    "plan": "planning:plan",
    "GridRequest": "cache_requests:GridRequest",
    "HeadRequest": "cache_requests:HeadRequest",
    "grid": "fitting:grid",
    "fit_head": "fitting:fit_head",
    "curve": "fitting:curve",
    "cross_validate": "validating:cross_validate",
    "choose_again": "validating:choose_again",
    "duplicates": "duplicating:duplicates",
    "label_errors": "auditing:label_errors",
    "zero_shot": "naming:zero_shot",
    "predict": "predicting:predict",
    "evaluate": "evaluating:evaluate",
    "nearest": "comparing:nearest",
    "export": "exporting:export",
    "export_features": "exporting_features:export_features",
    "report": "reporting:report",
    "models": "searching:models",
    "search": "halving:search",
    "SearchRequest": "search_requests:SearchRequest",
    "doctor": "looking:doctor",
    "list_cache": "looking:list_cache",
    "list_heads": "keeping:list_heads",
    "verify_cache": "looking:verify_cache",
    "explain_key": "looking:explain_key",
    "clean_cache": "looking:clean_cache",
}

__all__ = [*_FACE, "__version__"]


def __getattr__(name: str) -> object:
    if name not in _FACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _FACE[name].partition(":")
    found: object = getattr(import_module(f".{module}", __name__), attribute)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *_FACE])
