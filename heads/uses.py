"""Python that opens an exported file and says what it answers, by format and by what labels are. Pure text.

FILE is the exported file, RECORD the JSON beside it, PHOTO an image's file, all as Python strings; RES the side of
a crop, px; ``read_rgb`` and ``crop`` are those of `heads.crops`. A state dict is opened as its library has it.
"""

from __future__ import annotations

_ONNX = """\
import json
import onnxruntime

session = onnxruntime.InferenceSession(FILE)
facts = session.get_modelmeta().custom_metadata_map
classes = json.loads(facts["classes"])
pixels = crop(read_rgb(PHOTO))[None]  # uint8 (1, RES, RES, 3)
(answers,) = session.run(None, {"pixels": pixels})
"""
_TORCH = """\
import json
import torch

extra = {"fixgrid.json": ""}
program = torch.export.load(FILE, extra_files=extra)
facts = json.loads(extra["fixgrid.json"])
classes = json.loads(facts["classes"])
pixels = torch.tensor(crop(read_rgb(PHOTO)))[None]  # uint8 (1, RES, RES, 3)
answers = program.module()(pixels)
"""
_SAY = {
    "softmax": """\
best = int(answers[0].argmax())  # answers are probabilities
print(classes[best], float(answers[0, best]))
""",
    "sigmoid": """\
thresholds = json.loads(facts["thresholds"])  # answers are probabilities
for name, answer, least in zip(classes, answers[0], thresholds):
    if answer >= least:
        print(name, float(answer))
""",
    "identity": "print(classes[0], float(answers[0, 0]))\n",
}
_LINEAR = {
    "softmax": """\
import json
import numpy as np
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression

record, tensors = json.load(open(RECORD)), load_file(FILE)
model = LogisticRegression()
model.coef_ = tensors["coef_"] / record["temperature"]
model.intercept_ = tensors["intercept_"] / record["temperature"]
model.classes_ = np.array(record["classes_"])
probabilities = model.predict_proba(features)  # float32 (n, D), pooled features of the trunk below
""",
    "sigmoid": """\
import json
import numpy as np
from safetensors.numpy import load_file
from scipy.special import expit

record, tensors = json.load(open(RECORD)), load_file(FILE)
scores = features @ tensors["coef_"].T + tensors["intercept_"]  # float32 (n, D), pooled features of the trunk below
probabilities = expit(scores / record["temperature"])
given = probabilities >= np.array(record["thresholds"])  # which of record["classes_"]
""",
    "identity": """\
import json
from safetensors.numpy import load_file
from sklearn.linear_model import Ridge

record, tensors = json.load(open(RECORD)), load_file(FILE)
model = Ridge()
model.coef_, model.intercept_ = tensors["coef_"], tensors["intercept_"]
values = model.predict(features)  # float32 (n, D), pooled features of the trunk below
""",
}


CROPS_BY = {"onnx": "pillow", "torch": "torchvision", "safetensors": "torchvision"}
"""Which library a format's Python crops with; a head alone takes features."""


def list_uses(link: str) -> dict[str, str]:
    """The Python of each format, for a head whose answers a link makes, see `heads.metrics.read_link`."""
    return {"onnx": _ONNX + _SAY[link], "torch": _TORCH + _SAY[link], "sklearn": _LINEAR[link]}


def say_answers(link: str) -> str:
    """Python that says ``answers`` of ``classes``, for a state dict's."""
    return _SAY[link]
