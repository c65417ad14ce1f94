"""The files of the demo as a Space: program, card, requirements, and the packages of this project that the page imports."""

import ast
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from ..dataset_builder.hub_names import HUB_NAME
from .artefacts import CARD
from .artefacts import NOT_LOOKED_INTO
from .artefacts import SPACE
from .artefacts import PublishError

PROJECT: Final = "r_avst"
PAGE: Final = f"{PROJECT}.space"
APP: Final = "app.py"
REQUIREMENTS: Final = "requirements.txt"
MODEL_REQUIREMENTS: Final = "requirements-model.txt"
SETTINGS: Final = "space.json"
EXAMPLES: Final = "examples/"
SET_HERE: Final = {
    **dict.fromkeys(("--dataset", "--videos", "--predictions", "--model"), "give it to r-avst-publish itself"),
    "--synthetic": "it is what is shown without --dataset",
    **dict.fromkeys(("--host", "--port"), "a Space has its own"),
}
"""Arguments of the page that nobody hands on to it, and why."""
# A package of its own, or Python would look for the rest of it among what is installed.
MARKER: Final = '"""The packages of the project that the page imports."""\n'


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo shows.

    Attributes:
        dataset: its name on the Hub; None for the built-in example.
        videos: the name on the Hub of the data set with its videos.
        predictions: files of `r-avst-predict`, which are published with the page.
        model: the name on the Hub of the one that answers questions about uploads.
        arguments: more of those of `r-avst-space`, as how a model is asked that is not asked by default. They are handed on
            as they are: what the page makes of them is seen when it starts.
    """

    dataset: str | None = None
    videos: str | None = None
    predictions: tuple[Path, ...] = ()
    model: str | None = None
    arguments: tuple[str, ...] = ()


def demo_places(demo: Demo, scratch: Path) -> dict[str, Path]:
    """The files of the demo by their path in the repository.

    Args:
        demo: what it shows.
        scratch: an empty folder, for the files that are written for it.

    Raises:
        PublishError: an option makes no sense in a Space, or this project is not installed whole.
    """
    _check(demo)
    page = _folder(PAGE)
    written = {
        f"{PROJECT}/__init__.py": MARKER,
        REQUIREMENTS: _requirements(page, demo),
        SETTINGS: json.dumps({"arguments": _arguments(demo)}, indent=1) + "\n",
    }
    for number, text in enumerate(written.values()):
        (scratch / f"{number}").write_text(text, encoding="utf-8")
    places = {path: scratch / f"{number}" for number, path in enumerate(written)}
    places |= {APP: page / APP, CARD: page / CARD}
    places |= {f"{EXAMPLES}{path.name}": path for path in demo.predictions}
    for package in sorted(imported_packages(PAGE)):
        places |= dict(_package_files(package))
    return places


def _check(demo: Demo) -> None:
    for option, name in (("--dataset", demo.dataset), ("--videos", demo.videos), ("--model", demo.model)):
        if name is not None and not HUB_NAME.fullmatch(name):
            raise PublishError(f"{option} {name}: a Space finds nothing of this machine; give a user/name of the Hub")
    if demo.dataset is None and (demo.videos or demo.predictions):
        raise PublishError("--videos and --predictions are of a data set: give --dataset USER/NAME too")
    _check_arguments(demo.arguments)
    names = [path.name for path in demo.predictions]
    for path in demo.predictions:
        if path.suffix != ".jsonl" or not path.is_file() or names.count(path.name) > 1:
            raise PublishError(
                f"--predictions {path}: it must be a file NAME.jsonl of r-avst-predict, NAME another for each"
            )


def _check_arguments(arguments: tuple[str, ...]) -> None:
    if arguments and not arguments[0].startswith("-"):
        raise PublishError(f"--arguments {shlex.join(arguments)}: they begin with the name of an option, such as --fps")
    for own in (argument.partition("=")[0] for argument in arguments):
        if own in SET_HERE:
            raise PublishError(f"--arguments {shlex.join(arguments)}: leave {own} out; {SET_HERE[own]}")


def _arguments(demo: Demo) -> list[str]:
    """What the page is started with."""
    arguments = ["--dataset", demo.dataset] if demo.dataset else ["--synthetic"]
    arguments += ["--videos", demo.videos] if demo.videos else []
    arguments += ["--predictions", *(f"{EXAMPLES}{path.name}" for path in demo.predictions)] if demo.predictions else []
    return [*arguments, *(["--model", demo.model] if demo.model else []), *demo.arguments]


def _requirements(page: Path, demo: Demo) -> str:
    names = (REQUIREMENTS, MODEL_REQUIREMENTS) if demo.model else (REQUIREMENTS,)
    return "".join((page / name).read_text(encoding="utf-8") for name in names)


# --- packages ---------------------------------------------------------------------------------------------------------


def imported_packages(package: str) -> set[str]:
    """The packages of this project that one imports, itself among them, and those that these import, and so on.

    Whatever one of its modules imports counts, also in a function; nothing is imported to find it.

    Raises:
        PublishError: this project is not installed whole.
    """
    found: set[str] = set()
    waiting = {package}
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        for path in sorted(_folder(one).glob("*.py")):
            waiting |= {own for name in _imported(one, path) for own in _packages_on_the_way(name)}
    return found


def _imported(package: str, path: Path) -> Iterator[str]:
    """The modules of this project that a module may mean, as full names; a name that is imported may be a module too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from (name for name in names if name.startswith(f"{PROJECT}."))


def _packages_on_the_way(name: str) -> Iterator[str]:
    """The packages that importing a module imports.

    >>> list(_packages_on_the_way("r_avst.metrics.avst_metrics.answers"))
    ['r_avst.metrics', 'r_avst.metrics.avst_metrics']
    """
    parts = name.split(".")
    for end in range(2, len(parts) + 1):
        own = ".".join(parts[:end])
        if (_folder(own) / "__init__.py").is_file():
            yield own


def _folder(package: str) -> Path:
    """Where a package lies, or would lie; only its floor is looked up, its name is the path from there on."""
    project, floor, *rest = package.split(".")
    spec = find_spec(f"{project}.{floor}")
    if spec is None or not spec.submodule_search_locations:
        raise PublishError(
            f"{project}.{floor} is not installed here; the demo is published from an installation of all of it"
        )
    return Path(spec.submodule_search_locations[0], *rest)


def _package_files(package: str) -> Iterator[tuple[str, Path]]:
    """A package's modules and data of the kinds that a Space publishes, by their path in the repository.

    Packages inside it are left to themselves.
    """
    base = package.replace(".", "/")
    for path in sorted(_folder(package).iterdir()):
        if path.name in NOT_LOOKED_INTO or (path / "__init__.py").is_file():
            continue
        for file in sorted(path.rglob("*")) if path.is_dir() else (path,):
            target = f"{base}/{file.relative_to(path.parent).as_posix()}"
            if file.is_file() and SPACE.owns(target):
                yield target, file
