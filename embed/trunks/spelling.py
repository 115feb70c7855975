"""How a trunk that other tools name is named here."""

from __future__ import annotations

import re

_SIZES = {"s": "small", "b": "base", "l": "large", "g": "giant"}
_SPELLINGS = (
    (r"torchvision[./](?:models[./])?(\w+)", r"torchvision:\1"),
    (r"timm[.](?:models[.])?(\w+)", r"timm:\1"),
    (r"(?:hf|huggingface|hub)[:/]([\w.-]+/[\w.-]+)", r"transformers:\1, or hf-hub:\1 if timm wrote it"),
    (r"(?:clip|openclip|open-clip):(.+)", r"open_clip:\1"),
    (r"(?:openai/|clip/)?ViT-([BL])/(\d+)(?:@(\d+)px)?", r"open_clip:ViT-\1-\2/openai"),
    (r"(?:facebookresearch/dinov2[:/])?dinov2_vit([sblg])14", r"timm:vit_{}_patch14_dinov2.lvd142m"),
    (r"(?:facebookresearch/dinov2[:/])?dinov2_vit([sblg])14_reg", r"timm:vit_{}_patch14_reg4_dinov2.lvd142m"),
)
"""Python's dotted names, prefixes that are others here, names of OpenAI's CLIP and of DINOv2's torch.hub."""


def suggest_spelling(name: str) -> str:
    """The name that means here what another tool calls `name`; empty if that is not known."""
    for pattern, spelling in _SPELLINGS:
        if found := re.fullmatch(pattern, name):
            return found.expand(spelling).format(_SIZES.get(found[1], ""))
    return ""
