"""Functions whose arguments are the fields of a request: written, documented and checked once, for each of them."""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, ParamSpec, TypeVar

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


def write_options(request: Any, kind: type, left: Collection[str], more: Mapping[str, object]) -> str:
    """Those of a request's options that are not as usual, as they are typed to another command.

    Parameters
    ----------
    request : dataclass
    kind : type
        The other command's request.
    left : collection of str
        Fields that are left out.
    more : mapping of str to object
        Fields that are told whatever the request says.
    """
    theirs = {field.name for field in fields(kind)}
    told = {field.name: getattr(request, field.name) for field in fields(request) if _is_told(request, field)}
    words = []
    for name, value in {**told, **more}.items():
        if name in theirs - {*left}:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [_write(value)])]
    return shlex.join(words)


def _write(value: object) -> str:
    """As it is typed: several with commas, pairs with colons."""
    parts = value if isinstance(value, list | tuple) else (value,)
    return ",".join(":".join(map(str, part)) if isinstance(part, tuple) else str(part) for part in parts)


def _is_told(request: Any, field: Field[Any]) -> bool:
    if not field.compare:  # callbacks
        return False
    return field.default is MISSING or getattr(request, field.name) != field.default
