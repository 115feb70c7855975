"""Functions whose arguments are the fields of a request: written, documented and checked once, for each of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import is_dataclass
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def takes(
    make: Callable[Arguments, Asked],
) -> Callable[[Callable[[Asked], Answer]], Callable[Arguments, Answer]]:
    """Turn a function of a request into one of the arguments that make the request.

    ``@takes(Request)`` over ``def plan(request)`` gives ``plan(data, trunk=..., res=...)``, which type checkers,
    ``help`` and notebooks know with every argument of ``Request`` and what is said of it there.
    """

    def decorate(answer: Callable[[Asked], Answer]) -> Callable[Arguments, Answer]:
        @functools.wraps(answer)
        def ask(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            return answer(make(*args, **kwargs))

        requests = (part for part in getattr(make, "__mro__", ()) if is_dataclass(part))
        ask.__doc__ = "\n\n".join(str(inspect.getdoc(part)) for part in (answer, *requests))
        wanted = inspect.signature(make)
        ask.__signature__ = wanted.replace(  # type: ignore[attr-defined]
            return_annotation=inspect.signature(answer).return_annotation
        )
        return ask

    return decorate
