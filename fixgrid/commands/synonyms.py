"""Words of other tools, and what is typed here in their place: pure tables, and the sentences made of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches

_OPTIONS = {
    "--trunk": "model model-name model-id model-name-or-path pretrained-model-name-or-path arch architecture "
    "backbone network net encoder -m -a",
    "--res": "img-size image-size size input-size resolution resolutions imgsz imsize img-res image-resolution "
    "crop-size target-size sizes train-res test-res",
    "--pairs TRAIN:TEST": "train-res test-res resolution resolutions pair img-size image-size size input-size res",
    "--workers": "num-workers n-workers jobs n-jobs num-jobs threads num-threads processes num-processes nproc",
    "--data": "dataset data-dir data-path data-root dataset-dir dataset-path dataset-name dataset-root root images "
    "image-dir image-folder img-dir folder dir path input input-dir train-dir source csv -d -i",
    "--weights": "checkpoint checkpoint-path checkpoint-file ckpt ckpt-path pretrained pretrained-weights "
    "pretrained-path initial-checkpoint state-dict load model-path model-weights",
    "--out": "output output-dir output-path output-file out-dir out-file outdir save save-dir save-path save-to "
    "dest destination save-model",
    "--cache": "output output-dir output-path out out-dir outdir save-dir save-path cache-dir features-dir "
    "feature-dir feature-path features-path embeddings dest destination store -o",
    "--precision fp16": "fp16 half float16 use-fp16",
    "--precision bf16": "bf16 bfloat16 amp autocast mixed-precision use-amp",
    "--precision fp32": "fp32 float32 no-amp full-precision",
    "--dtype": "storage-dtype feature-dtype features-dtype",
    "--top": "k topk top-k n-best best limit-rows -k -n",
    "--format": "output-format out-format style fmt -f",
    "--format json": "json as-json to-json",
    "--format csv": "csv as-csv to-csv",
    "--format md": "md markdown",
    "--heads": "classifier classifiers head probe probes clf estimator head-type family families method",
    "--strengths": "c cs reg regularization l2 alpha alphas lam lambda lambdas wd weight-decay penalty strength",
    "--seed": "seeds random-seed random-state manual-seed rng-seed rng -s",
    "--fold-seed": "seeds random-seed random-state cv-seed",
    "--train-views": "augment augmentations num-augs n-augs aug crops n-crops num-crops random-crops draws",
    "--test-view": "tta view test-views eval-view crops",
    "--features": "feature feature-type layer layers pool pooling pool-type global-pool token tokens return-nodes",
    "--label-col": "label-column label-key target-col target-column target class-col class-column y-col labels",
    "--image-col": "image-column image-key path-col path-column file-col filename-col filename-column x-col",
    "--split-col": "split-column split-key valid-col fold-col subset-col",
    "--group-col": "group-column groups patient-col",
    "--task": "task-type problem problem-type mode objective multilabel multi-label regression",
    "--classes": "class-names class-list label-order names",
    "--crop-ratio": "crop-pct crop-percent crop-fraction",
    "--crop-mode": "resize-mode",
    "--mean": "image-mean img-mean norm-mean",
    "--std": "image-std img-std norm-std",
    "--resampler": "resize-backend",
    "--interpolation": "interp resample resample-mode resize-interpolation",
    "--max-bad": "max-errors skip-errors skip-bad ignore-errors ignore-bad tolerance",
    "--device cuda": "gpu cuda gpus use-gpu accelerator use-cuda",
    "--device cpu": "no-cuda no-gpu cpu use-cpu force-cpu",
    "--device": "devices device-id gpu-id gpu-ids",
    "--folds": "cv k-fold kfold k-folds n-splits n-folds num-folds cross-validate cross-validation",
    "--resplit": "n-splits splits seeds",
    "--nested": "nested-cv",
    "--repeats": "n-repeats runs trials",
    "--confused": "confusion confusion-matrix confusions",
    "--per-class": "class-accuracy by-class classwise report-per-class",
    "--curve": "learning-curve few-shot shots fractions fraction label-fraction train-fraction",
    "--of": "split subset",
    "--to": "format export-format target type",
    "--prefer": "select criterion",
    "--gap": "correction corrections calibrate-gap domain-adaptation adapt",
    "--budget": "max-time time-limit timeout max-cost",
    "--deep": "full verify thorough",
    "--sample": "n-samples rows recompute",
    "--yes": "force delete remove y -y -f",
    "--quiet": "silent no-progress no-verbose",
    "--verbose": "debug log-level loglevel verbosity",
    "--config": "config-file cfg settings config-path -c",
    "--name": "tag alias model-alias run-name exp-name experiment label",
    "--strict": "fail-fast raise-errors",
    "--follow-links": "follow-symlinks followlinks symlinks",
    "--backend": "runtime engine-type provider",
    "--backend compile": "compile torch-compile torchcompile",
    "--backend onnxruntime": "onnx onnxruntime ort",
    "--resize": "resize-side",
}  # fmt: skip
"""Of an option, and its value where the word means one: what it is called elsewhere; single letters with a dash."""

_BATCH = "images seen at once are found on this machine, and their number changes no feature"
_FITTING = "heads are fitted by solvers along a path of strengths, not by epochs"
_SPLITS = "splits are those of the data, or dealt once and kept"
_TOLD = {
    _BATCH: "batch-size batch bs batchsize train-batch-size eval-batch-size per-device-batch-size "
    "val-batch-size mini-batch-size max-batch-size -b -bs",
    _FITTING: "lr learning-rate base-lr epochs num-epochs n-epochs max-epochs steps max-steps max-iter optimizer "
    "opt momentum sched scheduler lr-scheduler warmup warmup-epochs patience dropout drop-path label-smoothing "
    "mixup cutmix tol solver",
    "the trunk stays frozen": "freeze unfreeze finetune fine-tune freeze-backbone linear-probe",
    "loading is arranged by itself": "pin-memory pin-mem prefetch prefetch-factor persistent-workers shuffle "
    "drop-last channels-last no-shuffle",
    "classes are those of the images": "num-classes n-classes nb-classes classes class-map num-labels",
    _SPLITS: "val-dir test-dir val-data test-data val-split test-split val-size test-size train-split train-size "
    "valid-dir val-path test-path",
    "the same command resumes what was stopped": "resume continue auto-resume resume-from restart",
    "the same command computes only what changed": "overwrite recompute no-cache refresh reset",
    "several runs on one cache share the work": "distributed local-rank world-size nproc-per-node master-port rank "
    "num-shards shard-id launcher num-nodes",
    "nothing is sent anywhere": "wandb log-wandb tensorboard mlflow logger log-dir",
    "code is never loaded from a hub": "trust-remote-code",
}
"""Of a reason for which there is no option: what the option is called elsewhere."""

_COMMANDS = {
    "extract": "embed encode featurize features extract-features run forward",
    "fit-head": "train fit probe linear-probe head train-head fit-heads",
    "grid": "table results compare matrix sweep",
    "predict": "infer inference classify run-head pred",
    "evaluate": "eval test score validate val accuracy",
    "export": "convert save onnx",
    "models": "trunks list-models backbones zoo list list-trunks model",
    "doctor": "check env info diagnose system",
    "plan": "estimate dry-run cost forecast",
    "search": "hpo halving tune",
    "duplicates": "dedup dedupe dups",
    "label-errors": "label-issues find-label-issues mislabeled mislabelled cleanlab",
    "report": "html page",
    "cache ls": "ls show keys",
    "cache verify": "verify fsck",
    "cache gc": "gc clean prune",
    "cache why": "why explain",
    "--version": "version",
    "--help": "help",
}  # fmt: skip

_PARTS = {
    "ls": "list show keys index",
    "verify": "check fsck test",
    "gc": "clean prune clear rm remove delete",
    "why": "explain",
}
"""Of a command of commands, such as ``cache``."""

_VALUES: Mapping[str, Mapping[str, str]] = {
    "precision": {
        "fp32": "float32 float single full f32 32 32-true no none",
        "bf16": "bfloat16 bf16-mixed bf16-true",
        "fp16": "float16 half f16 16-true",
        "bf16 or fp16": "16 16-mixed amp mixed true int8 fp8",
    },
    "dtype": {"float32": "fp32 float single f32 f4 32", "float16": "fp16 half f16 f2 16 bf16 bfloat16"},
    "heads": {
        "logistic": "linear lr logreg logisticregression logistic-regression linear-probe softmax lp lin",
        "ridge or logistic": "svm svc linearsvc linear-svm ridgeclassifier ls",
        "mean": "ncm nearest-mean nearest-centroid centroid prototype prototypes protonet nmc",
        "knn": "nn k-nn neighbors neighbours kneighbors nearest-neighbors 1nn",
        "lda": "qda gaussian linear-discriminant discriminant fisher slda",
        "sgd": "adam adamw gradient-descent",
    },
    "style": {"md": "markdown rst github", "json": "yaml yml toml dict", "csv": "tsv excel", "table": "text txt"},
    "backend": {
        "onnxruntime": "onnx ort onnx-runtime",
        "torch": "pytorch fx",
        "compile": "inductor torch.compile torchscript jit cudagraphs",
        "openvino": "ov",
    },
    "engine": {
        "local": "multiprocessing processes mp joblib",
        "inline": "none single main serial debug",
        "ray": "ray-core cluster dask",
    },
    "crop_mode": {"squash": "resize stretch warp", "border": "pad letterbox padding", "center": "centre crop"},
    "interpolation": {"bilinear": "linear area box", "bicubic": "cubic", "lanczos": "lanczos3 antialias"},
    "resampler": {"pillow": "pil pillow-simd", "tensor": "torch torchvision tensors"},
    "resize": {"short-side": "short shortest shortest-edge smallest", "height": "fixres"},
    "jitter": {"full": "fixres color", "torch": "torchvision"},
    "to": {"torch": "pytorch pt pth torchscript", "safetensors": "st", "sklearn": "scikit-learn joblib pickle"},
    "split": {"val": "valid validation dev", "test": "testing", "train": "training trainval"},
    "train_view": {"center": "centre central", "train": "random augmented crops", "both": "all"},
    "test_view": {"five": "fivecrop five-crop 5", "ten": "tencrop ten-crop 10 tta", "center": "centre central"},
    "mean_of": {"probabilities": "probs softmax logits", "features": "embeddings"},
    "prefer": {"accurate": "best accuracy", "cheap": "cheapest fast small efficient"},
}  # fmt: skip
"""Of an option's parameter and a value of it: what the value is called elsewhere."""


def _list_meanings(table: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for meaning, words in table.items():
        for word in words.split():
            found.setdefault(word, []).append(meaning)
    return found


_MEANT, _WHY = _list_meanings(_OPTIONS), _list_meanings(_TOLD)


def suggest_option(typed: str, own: Collection[str], others: Mapping[str, Collection[str]]) -> str:
    """What to type for an option that a command does not have, or why there is none.

    Parameters
    ----------
    typed : str
        As typed, dashes included.
    own : collection of str
        Options of the command: ``--trunk``, ``-j``.
    others : mapping of command to its options

    Returns
    -------
    str
        Begins with ``type `` and the option wherever one stands for it; empty if nothing is like it.
    """
    word, called = _normalise(typed), f"--{_normalise(typed)}"
    if called in own:
        return f"type {called}"
    heard = [typed.lower(), word] if len(word) > 1 or typed[:2] == "--" else [typed.lower()]
    for option in (option for one in heard for option in _MEANT.get(one, ())):
        if option.split()[0] in own:
            return f"type {option}"
    for why in (why for one in heard for why in _WHY.get(one, ())):
        return f"leave it out: {why}"
    if having := [command for command, options in others.items() if called in options]:
        return f"{called} belongs to {join_or(having)}"
    if near := get_close_matches(called, [option for option in own if option[:2] == "--"], 1, 0.7):
        return f"type {near[0]}"
    for close in get_close_matches(word, [*_MEANT, *_WHY], 3, 0.85) if len(word) > 2 else ():
        if found := suggest_option(f"--{close}", own, {}):
            return found
    return ""


def suggest_command(typed: str, known: Collection[str], *, parts: bool = False) -> str:
    """The command that a word means, or is nearest to; empty if none is.

    Parameters
    ----------
    typed : str
    known : collection of str
    parts : bool
        Whether these are commands of a command, such as ``ls`` of ``cache``.
    """
    word, meanings = _normalise(typed), _PARTS if parts else _COMMANDS
    named = {other: one for one, words in meanings.items() for other in words.split() if not parts or one in known}
    if word in named or not (near := get_close_matches(word, known, 1)):
        return named.get(word, "")
    return near[0]


def suggest_value(parameter: str, typed: str) -> str:
    """What a value of a parameter is called here; empty if it is one, or nothing is known of it."""
    for value, words in _VALUES.get(parameter, {}).items():
        if _normalise(typed) in words.split():
            return value
    return ""


def _normalise(typed: str) -> str:
    return typed.lstrip("-").lower().replace("_", "-")


def join_or(words: Collection[str]) -> str:
    """``a``, ``a or b``, ``a, b or c``."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
