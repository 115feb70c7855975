"""What a trunk's text tower makes of texts, in the space that its projected features share: open_clip's alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fixgrid.cache.errors import UsageError

from .library import import_extra

_LIBRARY = "open_clip:"


class TextWeights(NamedTuple):
    """A vector of length 1 for each class, float32 (K, P), and what cosines with it are multiplied by."""

    vectors: NDArray[np.float32]
    scale: float


def expect_text_tower(name: str, architecture: str) -> None:
    """Refuse a trunk that is no half of a pair of towers which is known here.

    Raises
    ------
    UsageError
    """
    if not architecture.startswith(_LIBRARY):
        raise UsageError(
            f"found the trunk {name}, which has no text tower; expected one of open_clip, extracted as in extract "
            "--trunk open_clip:ViT-B-32-quickgelu/openai --features projected."
        )


def encode_classes(name: str, weights: Path | None, prompts: Sequence[Sequence[str]]) -> TextWeights:
    """The mean text embedding of each class' prompts (Radford et al. 2021, section 3.1.4).

    Embeddings are normalised, averaged over the prompts of a class, and normalised again.

    Parameters
    ----------
    name : str
        Of the trunk, as in ``open_clip:MODEL/TAG``.
    weights : Path or None
        A file of both towers; the published one if not given.
    prompts : sequence of sequence of str
        Those of each class.

    Raises
    ------
    UsageError
        If open_clip is not installed, or the file has no text tower of this model.
    """
    import torch

    model, tokenize = _load_towers(name, weights)
    with torch.no_grad():
        means = [model.encode_text(tokenize(list(texts)), normalize=True).mean(0) for texts in prompts]
        vectors = torch.nn.functional.normalize(torch.stack(means), dim=-1)
        return TextWeights(vectors.numpy().astype(np.float32), model.logit_scale.exp().item())


def _load_towers(name: str, weights: Path | None) -> tuple[Any, Any]:
    """Both towers, of which open_clip builds and reads none alone, and what makes numbers of their texts."""
    open_clip = import_extra("open_clip", "open_clip")
    from . import open_clip_trunks

    model = name.removeprefix(_LIBRARY)
    file = weights or open_clip_trunks.load(open_clip_trunks.find(model))
    schema, colon, place = model.partition(":")
    if colon:
        called = f"{schema}:{Path(place).expanduser().resolve() if schema == 'local-dir' else place}"
    else:
        called = model.partition("/")[0]
    try:
        towers = open_clip.create_model(called, load_weights=False, pretrained_text=False)
        open_clip.load_checkpoint(towers, str(file))
        return towers.eval(), open_clip.get_tokenizer(called)
    except (RuntimeError, OSError, ValueError, KeyError, TypeError, ImportError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UsageError(
            f"cannot read the text tower of {name} in {file} ({line}); expected both towers."
        ) from error
