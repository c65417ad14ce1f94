"""The house: floors are not crossed, the core stays light, no module hides another, and every verb answers."""

import ast
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# A floor may import the floors before it in this row, and itself.
FLOORS = ("metrics", "dataset_builder", "model_cards", "training", "space")
EVALUATE_MODULE = ("metrics", "avst_metrics")
ITS_PACKAGES = {"filelock", "numpy", "scipy", "gensim", "datasets", "evaluate", "gradio"}
OWN_PACKAGE = "r_avst"
HEAVY = ("torch", "av", "gradio", "openai", "ray", "transformers")
# What later floors import; names of modules here would hide them where a script is run by its path.
PACKAGES_TO_COME = {"accelerate", "openai", "peft", "ray", "sam2", "torch", "transformers", "trl"}
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]


def modules() -> list[Path]:
    return sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def imported(source: str, place: tuple[str, ...]) -> Iterator[str]:
    """The full names that a module imports; ``place`` are the folders it stands in, below the root."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = (OWN_PACKAGE, *place)
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else [])))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def crossings(source: str, place: tuple[str, ...]) -> list[str]:
    """The imports of a floor above, or of a floor by its folder's name, which another package may hold."""
    above = FLOORS[FLOORS.index(place[0]) + 1 :]
    found = []
    for name in imported(source, place):
        first, _, rest = name.partition(".")
        if first in FLOORS or (first == OWN_PACKAGE and rest.split(".")[0] in above):
            found.append(name)
    return found


def strangers(source: str) -> list[str]:
    """The imports that take the evaluate module out of its folder or to a package it does not ask for."""
    known = sys.stdlib_module_names | ITS_PACKAGES
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            found += ["." * node.level + (node.module or "")] if node.level > 1 else []
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [name for name in names if name.split(".")[0] not in known]
    return found


def place_of(path: Path) -> tuple[str, ...]:
    return path.relative_to(ROOT).parent.parts


# --- floors -----------------------------------------------------------------------------------------------------------


def test_there_are_floors_to_look_at() -> None:
    assert {"metrics", "dataset_builder"} <= {place_of(path)[0] for path in modules()}
    assert ROOT / "metrics/avst_metrics/avst_metrics.py" in modules()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_floor_imports_only_the_floors_below_it(path: Path) -> None:
    assert crossings(path.read_text(encoding="utf-8"), place_of(path)) == []


@pytest.mark.parametrize(
    ("line", "place", "found"),
    [
        ("from r_avst.metrics.score import main", ("dataset_builder",), []),
        ("from r_avst.metrics.score import main", ("dataset_builder", "sources"), []),
        ("from ..records import Video", ("dataset_builder", "sources"), []),
        ("from r_avst.model_cards.cards import render", ("training",), []),
        ("import r_avst.metrics.score", ("model_cards",), []),
        ("import numpy, datasets", ("metrics",), []),
        ("from r_avst.dataset_builder import build", ("metrics",), ["r_avst.dataset_builder.build"]),
        ("import r_avst.training.grpo", ("dataset_builder",), ["r_avst.training.grpo"]),
        ("from r_avst import space", ("training",), ["r_avst.space"]),
        ("from r_avst import metrics, space", ("training",), ["r_avst.space"]),
        ("from ..dataset_builder import records", ("metrics",), ["r_avst.dataset_builder.records"]),
        ("from .. import training", ("model_cards",), ["r_avst.training"]),
        ("from ...training import grpo", ("metrics", "avst_metrics"), ["r_avst.training.grpo"]),
        ("def late():\n    import r_avst.space.app", ("metrics",), ["r_avst.space.app"]),
        ("from metrics.score import main", ("dataset_builder",), ["metrics.score.main"]),
        ("import training", ("training",), ["training"]),
    ],
)
def test_a_planted_crossing_is_found(line: str, place: tuple[str, ...], found: list[str]) -> None:
    assert crossings(line, place) == found


@pytest.mark.parametrize("path", sorted((ROOT.joinpath(*EVALUATE_MODULE)).rglob("*.py")), ids=lambda path: path.name)
def test_the_evaluate_module_can_be_copied_out_of_the_house(path: Path) -> None:
    assert strangers(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from .answers import Row", []),
        ("import json\nimport numpy as np\nfrom scipy.optimize import linear_sum_assignment", []),
        ("from r_avst.metrics.avst_metrics.answers import Row", ["r_avst.metrics.avst_metrics.answers"]),
        ("from ..score import main", ["..score"]),
        ("from .. import score", [".."]),
        ("def late():\n    import torch.nn", ["torch.nn"]),
        ("import tqdm, json", ["tqdm"]),
    ],
)
def test_a_planted_stranger_is_found(line: str, found: list[str]) -> None:
    assert strangers(line) == found


# --- weight -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [target.split(":")[0] for target in SCRIPTS.values()])
def test_the_core_imports_nothing_heavy(module: str) -> None:
    script = f"import json, sys, {module}; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == []


def required(name: str, extras: tuple[str, ...] = ("",)) -> Iterator[str]:
    """The packages that an installed one requires here, with these of its extras."""
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras):
            yield requirement.name.lower()


def closure(name: str) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for own in required(waiting.pop()):
            if own not in found:
                found.add(own)
                waiting.append(own)
    return found


def test_the_base_install_pulls_in_nothing_heavy() -> None:
    found = closure("r-avst")
    assert {"datasets", "numpy", "pyarrow"} <= found
    assert found.isdisjoint(HEAVY)


def test_the_extras_hold_what_is_heavy() -> None:
    assert {"av", "openai"} <= set(required("r-avst", ("build",)))
    assert {"torch", "transformers"} <= set(required("r-avst", ("boxes",)))
    assert "gradio" in set(required("r-avst", ("space",)))


# --- names ------------------------------------------------------------------------------------------------------------


@cache
def packages() -> set[str]:
    """The names of packages that the house imports or will: standard library, installed, and to come."""
    roots = {name.split(".")[0] for path in modules() for name in imported(path.read_text(encoding="utf-8"), place_of(path))}
    return roots | PACKAGES_TO_COME | set(sys.stdlib_module_names)


def test_the_traps_are_known() -> None:
    assert {"datasets", "evaluate", "statistics", "types", "r_avst", "gradio", "av", "trl"} <= packages()


def test_no_module_bears_the_name_of_a_package_that_it_would_hide() -> None:
    names = {path.stem: str(path.relative_to(ROOT)) for path in modules() if path.stem not in ("__init__", "__main__")}
    assert len(names) > 20
    assert {path for name, path in names.items() if name in packages()} == set()


def test_no_folder_of_a_floor_bears_the_name_of_a_package() -> None:
    folders = {part for path in modules() for part in place_of(path)}
    assert {"metrics", "avst_metrics", "sources"} <= folders
    assert folders & packages() == set()


# --- verbs ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Another folder to work in, and an environment in which others hold the floors' folder names at the top level."""
    path = tmp_path / "site"
    for name in FLOORS:
        (path / name).mkdir(parents=True)
        (path / name / "__init__.py").write_text("raise ImportError('this is the package of somebody else')\n")
    (tmp_path / "work").mkdir()
    return tmp_path / "work", os.environ | {"PYTHONPATH": str(path)}


def ran(command: list[str], elsewhere: tuple[Path, dict[str, str]]) -> subprocess.CompletedProcess[str]:
    folder, environment = elsewhere
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("name", FLOORS)
def test_the_packages_of_others_are_in_the_way(elsewhere: tuple[Path, dict[str, str]], name: str) -> None:
    assert "the package of somebody else" in ran([sys.executable, "-c", f"import {name}"], elsewhere).stderr


def test_there_is_a_console_script_for_each_verb_so_far() -> None:
    assert SCRIPTS["r-avst-build"] == "r_avst.dataset_builder.build:main"
    assert SCRIPTS["r-avst-review"] == "r_avst.dataset_builder.review:main"
    assert SCRIPTS["r-avst-videos"] == "r_avst.dataset_builder.download:main"
    assert SCRIPTS["r-avst-score"] == "r_avst.metrics.score:main"
    assert SCRIPTS["r-avst-predict"] == "r_avst.training.predict:main"
    assert SCRIPTS["r-avst-grpo"] == "r_avst.training.grpo:main"
    assert SCRIPTS["r-avst-sft"] == "r_avst.training.sft:main"


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_console_script_answers_from_another_folder(elsewhere: tuple[Path, dict[str, str]], script: str) -> None:
    answered = ran([str(Path(sys.executable).parent / script), "--help"], elsewhere)
    assert (answered.returncode, answered.stderr) == (0, "")
    assert answered.stdout.startswith(f"usage: {script} ")


@pytest.mark.parametrize("module", sorted({target.split(":")[0] for target in SCRIPTS.values()}))
@pytest.mark.slow
def test_every_verb_answers_as_a_module(elsewhere: tuple[Path, dict[str, str]], module: str) -> None:
    answered = ran([sys.executable, "-m", module, "--help"], elsewhere)
    assert (answered.returncode, answered.stderr) == (0, "")
    assert answered.stdout.startswith("usage: ")


@pytest.mark.slow
@pytest.mark.parametrize("target", sorted(SCRIPTS.values()))
def test_every_verb_answers_by_its_path(elsewhere: tuple[Path, dict[str, str]], target: str) -> None:
    path = ROOT / (target.split(":")[0].removeprefix("r_avst.").replace(".", "/") + ".py")
    answered = ran([sys.executable, str(path), "--help"], elsewhere)
    assert (answered.returncode, answered.stderr) == (0, "")
    assert answered.stdout.startswith("usage: ")
