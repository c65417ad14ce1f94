"""The demo as a Space: a folder that runs by itself, with the packages it imports and the requirements it needs."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from space_server import served_space

from r_avst.model_cards.artefact_checks import check_artefact
from r_avst.model_cards.artefacts import SPACE
from r_avst.model_cards.artefacts import PublishError
from r_avst.model_cards.artefacts import collect
from r_avst.model_cards.artefacts import stage
from r_avst.model_cards.space_files import PAGE
from r_avst.model_cards.space_files import Demo
from r_avst.model_cards.space_files import demo_places
from r_avst.model_cards.space_files import imported_packages
from r_avst.space.app import make_parser

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# What a model needs of the extra `train`, which is also for training one.
TRAINING_ONLY = {"matplotlib", "pillow", "trl"}
ASKED = ("--fps", "2", "--max-frames=16", "--coordinate-space", "source")
WHOLE = Demo("user/r-avst", "user/r-avst-videos", (Path("a.jsonl"), Path("b.jsonl")), "user/model", ASKED)


def staged(folder: Path, demo: Demo) -> Path:
    """The files as they will lie in the repository, none of them a link."""
    (folder / "scratch").mkdir(parents=True)
    artefact = collect(SPACE, demo_places(demo, folder / "scratch"))
    assert artefact.left_out == {}
    check_artefact(artefact, "user/demo")
    stage(artefact, folder / "links")
    return Path(shutil.copytree(folder / "links", folder / "space"))


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return staged(tmp_path_factory.mktemp("space"), Demo())


def requirements(path: Path) -> dict[str, str]:
    """Ranges by name."""
    found = [Requirement(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {own.name: str(own.specifier) for own in found}


def of_project(*extras: str) -> dict[str, str]:
    """Ranges by name of what the project needs with these extras, and those that they name."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    found = {}
    for own in map(Requirement, lines):
        if own.name == PROJECT["name"]:
            found |= of_project(*own.extras)
        else:
            found[own.name] = str(own.specifier)
    return found


# --- what goes out ----------------------------------------------------------------------------------------------------


def test_the_folder_has_program_card_requirements_and_page(space: Path) -> None:
    names = {str(path.relative_to(space)) for path in space.rglob("*") if path.is_file()}
    assert {"README.md", "app.py", "requirements.txt", "space.json", "r_avst/__init__.py"} < names
    assert {f"r_avst/space/page/player.{end}" for end in ("html", "css", "js")} < names
    assert (space / "app.py").read_bytes() == (ROOT / "space" / "app.py").read_bytes()
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]


def test_every_package_that_is_imported_is_there_and_no_other(space: Path) -> None:
    names = {path.parent.relative_to(space).as_posix().replace("/", ".") for path in space.rglob("__init__.py")}
    assert names == {"r_avst", *imported_packages(PAGE)}
    assert {"r_avst.metrics.avst_metrics", "r_avst.dataset_builder.sources", "r_avst.training.families"} < names
    assert "r_avst.training.learn" not in names


def test_every_import_of_the_project_is_a_file_of_the_folder(space: Path) -> None:
    wanted = {name for path in space.rglob("*.py") for name in own_imports(path, space)}
    assert len(wanted) > 100
    missing = [
        name for name in wanted if not (space / f"{name}.py").is_file() and not (space / name / "__init__.py").is_file()
    ]
    assert missing == []


def own_imports(path: Path, space: Path) -> Iterator[str]:
    """The modules of the project that a module names, as paths without ending; found otherwise than by `space_files`."""
    folder = path.parent.relative_to(space)
    for line in re.findall(r"^ *from (\.+[\w.]*|r_avst[\w.]*) import", path.read_text(encoding="utf-8"), re.MULTILINE):
        dots = len(line) - len(line.lstrip("."))
        base = folder if dots else Path()
        for _ in range(dots - 1):
            base = base.parent
        yield (base / line.lstrip(".").replace(".", "/")).as_posix()


def test_no_package_of_a_floor_above_is_found() -> None:
    assert imported_packages("r_avst.metrics.avst_metrics") == {"r_avst.metrics", "r_avst.metrics.avst_metrics"}
    found = imported_packages("r_avst.dataset_builder")
    assert {"r_avst.metrics", "r_avst.metrics.avst_metrics", "r_avst.dataset_builder.stages"} < found
    assert not any(name.startswith(("r_avst.training", "r_avst.space")) for name in found)


def test_the_card_says_what_the_page_is_tried_with(space: Path) -> None:
    card = (space / "README.md").read_text(encoding="utf-8")
    front = dict(re.findall(r"^(\w+): (.+)$", card.split("---")[1], re.MULTILINE))
    pinned = re.search(r"^gradio==(.+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned
    assert (front["sdk"], front["sdk_version"], front["app_file"]) == ("gradio", pinned[1], "app.py")
    assert PROJECT["requires-python"] == f">={front['python_version'].strip(chr(34))}"
    assert len(front["short_description"]) <= 60  # the Hub takes no more


def test_requirements_are_those_of_the_project(space: Path, tmp_path: Path) -> None:
    assert requirements(space / "requirements.txt") == of_project("space")
    with_model = requirements(staged(tmp_path, Demo(model="user/model")) / "requirements.txt")
    of_training = {name: own for name, own in of_project("train").items() if name not in TRAINING_ONLY}
    assert with_model == of_project("space") | of_training


# --- what the demo shows ----------------------------------------------------------------------------------------------


def test_the_arguments_are_those_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in WHOLE.predictions:
        path.write_text("{}\n")
    for demo, expected in (
        (Demo(), ["--synthetic"]),
        (Demo(model="user/model"), ["--synthetic", "--model", "user/model"]),
        (Demo("user/r-avst"), ["--dataset", "user/r-avst"]),
        (Demo(model="user/model", arguments=ASKED), ["--synthetic", "--model", "user/model", *ASKED]),
    ):
        assert arguments(staged(tmp_path / f"{len(expected)}{demo.model}", demo)) == expected
    folder = staged(tmp_path / "whole", WHOLE)
    options = make_parser().parse_args(arguments(folder))
    assert (options.dataset, options.videos, options.model) == ("user/r-avst", "user/r-avst-videos", "user/model")
    assert [str(path) for path in options.predictions] == ["examples/a.jsonl", "examples/b.jsonl"]
    assert all((folder / path).is_file() for path in options.predictions)
    assert (options.fps, options.max_frames, options.coordinate_space) == (2.0, 16, "source")


def arguments(folder: Path) -> list[str]:
    found: dict[str, list[str]] = json.loads((folder / "space.json").read_text(encoding="utf-8"))
    assert found.keys() == {"arguments"}
    return found["arguments"]


@pytest.mark.parametrize(
    ("demo", "said"),
    [
        (Demo("release/r-avst/x"), "--dataset release/r-avst/x: a Space finds nothing of this machine"),
        (Demo("./r-avst"), "--dataset ./r-avst: a Space"),
        (Demo("user/r-avst", videos="videos"), "--videos videos: a Space"),
        (Demo(model="/models/own"), "--model /models/own: a Space"),
        (Demo(videos="user/videos"), "give --dataset USER/NAME too"),
        (Demo(predictions=(Path("a.jsonl"),)), "give --dataset USER/NAME too"),
        (Demo("user/r-avst", predictions=(Path("a.json"),)), "--predictions a.json: it must be a file NAME.jsonl"),
        (Demo("user/r-avst", predictions=(Path("gone.jsonl"),)), "--predictions gone.jsonl: it must be"),
        (Demo("user/r-avst", predictions=(Path("a.jsonl"), Path("b/a.jsonl"))), "NAME another for each"),
        (Demo(arguments=("fps", "2")), "--arguments fps 2: they begin with the name of an option"),
        (Demo(arguments=("--fps", "2", "--model=own")), "leave --model out; give it to r-avst-publish itself"),
        (Demo(arguments=("--port", "80")), "--arguments --port 80: leave --port out; a Space has its own"),
    ],
)
def test_what_makes_no_sense_in_a_space_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Demo, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b").mkdir()
    for name in ("a.jsonl", "a.json", "b/a.jsonl"):
        (tmp_path / name).write_text("{}\n")
    with pytest.raises(PublishError, match=re.escape(said)):
        demo_places(demo, tmp_path)


# --- it runs by itself ------------------------------------------------------------------------------------------------

# Runs app.py as `python app.py` does, but refuses imports by its modules of what the requirements don't name.
GUARD = """
import builtins, importlib.metadata, runpy, sys
folder, allowed, report, sys.argv = sys.argv[1], set(sys.argv[2].split()), sys.argv[3], ["app.py", *sys.argv[4:]]
owners = importlib.metadata.packages_distributions()
usual = builtins.__import__

def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    by = str((globals or {}).get("__file__"))
    top = name.partition(".")[0]
    known = top in sys.stdlib_module_names or top == "r_avst" or {own.lower() for own in owners.get(top, ())} & allowed
    if level == 0 and by.startswith(folder) and not known:
        raise ImportError(f"{by} imports {top}, which the requirements do not name")
    return usual(name, globals, locals, fromlist, level)

builtins.__import__ = guarded
sys.path[0] = folder
try:
    runpy.run_path(f"{folder}/app.py", run_name="__main__")
finally:
    own = [module.__file__ for name, module in list(sys.modules.items()) if name.startswith("r_avst")]
    with open(report, "w") as file:
        file.write("\\n".join(map(str, own)))
"""


def guarded(folder: Path, report: Path, *arguments: str) -> tuple[str, ...]:
    allowed = " ".join(requirements(folder / "requirements.txt"))
    return ("-c", GUARD, str(folder), allowed, str(report), *arguments)


def check_report(folder: Path, report: Path) -> None:
    """All modules of the project came from the folder."""
    files = report.read_text().splitlines()
    assert str(folder / "r_avst/space/uploads.py") in files
    assert [file for file in files if not file.startswith(str(folder))] == []


def test_help_needs_nothing_but_the_folder_and_its_requirements(space: Path, tmp_path: Path) -> None:
    command = [sys.executable, *guarded(space, tmp_path / "report", "--help")]
    ran = subprocess.run(command, cwd=space, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "--synthetic" in ran.stdout
    check_report(space, tmp_path / "report")


def test_the_page_needs_nothing_but_the_folder_and_its_requirements(space: Path, tmp_path: Path) -> None:
    with served_space(program=guarded(space, tmp_path / "report"), cwd=space) as page:
        check_page(page.url)
        assert any("questions" in line and "shifted_truth" in line for line in page.said)
    check_report(space, tmp_path / "report")


def check_page(url: str) -> None:
    """The page is there, and its component is the player."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{url}config", timeout=30) as answer:
        config = answer.read().decode()
    assert "makePlayer" in config
    assert 'class=\\"player' in config


@pytest.mark.slow
def test_the_folder_runs_in_a_fresh_environment(space: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "-r", space / "requirements.txt", "-c", ROOT / "constraints.txt"]
    subprocess.run(install, check=True, timeout=900)
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"^(r-avst|torch|transformers) ", listed, re.MULTILINE)
    with served_space(program=("-c", EXECUTED, str(python), "app.py"), cwd=space) as page:
        check_page(page.url)


EXECUTED = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"
