"""Python that opens an exported file and says what it answers, by format and by what labels are. Pure text.

FILE is the exported file, RECORD the JSON beside it, both as Python strings, RES the side of a crop (px). A state
dict's is its library's.
"""

from __future__ import annotations

_ONNX = """\
import json
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(FILE)
facts = session.get_modelmeta().custom_metadata_map
classes = json.loads(facts["classes"])
pixels = np.zeros((1, RES, RES, 3), np.uint8)  # RGB crops, made as "What it sees" says
(answers,) = session.run(None, {"pixels": pixels})
"""
_TORCH = """\
import json
import torch

extra = {"fixgrid.json": ""}
program = torch.export.load(FILE, extra_files=extra)
facts = json.loads(extra["fixgrid.json"])
classes = json.loads(facts["classes"])
pixels = torch.zeros(1, RES, RES, 3, dtype=torch.uint8)  # RGB crops, made as "What it sees" says
answers = program.module()(pixels)
"""
_SAY = {
    "softmax": "print(classes[answers[0].argmax()])  # answers are probabilities\n",
    "sigmoid": """\
thresholds = json.loads(facts["thresholds"])  # answers are probabilities
print([name for name, one, least in zip(classes, answers[0], thresholds) if one >= least])
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


def list_uses(link: str) -> dict[str, str]:
    """The Python of each format, for a head whose answers a link makes, see `heads.metrics.read_link`."""
    return {"onnx": _ONNX + _SAY[link], "torch": _TORCH + _SAY[link], "sklearn": _LINEAR[link]}
