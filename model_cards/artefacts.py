"""What is published: for each kind a list of the files that may go out, and what of a folder was left out and why."""

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ..dataset_builder.video import VIDEO_SUFFIXES

CARD = "README.md"
ANY_DEPTH = "**"
NOT_LOOKED_INTO = ("__pycache__", "build", "node_modules", "tests", "venv")


class PublishError(ValueError):
    """Something that stops a publication; the message says what to do."""


@dataclass(frozen=True, slots=True)
class ArtefactKind:
    """A kind of thing to publish.

    Attributes:
        name: as on the command line.
        repo_type: of the Hub: ``dataset``, ``model`` or ``space``.
        patterns: the files that may go out, by their path in the repository; ``**/`` stands for any folders. On the Hub they
            say which files are ours: others are never deleted there.
        optional: folders, ending in "/", that a publication may do without: then those on the Hub stay as they are.
    """

    name: str
    repo_type: str
    patterns: tuple[str, ...]
    optional: tuple[str, ...] = ()

    def owns(self, path: str) -> bool:
        """Whether a file of this path is published with this kind."""
        return any(_fits(path, pattern) for pattern in self.patterns)


DATASET = ArtefactKind(
    "dataset",
    "dataset",
    (CARD, "build_report.json", "*/r-avst-*.parquet", *(f"figures/*.{end}" for end in ("json", "png", "svg"))),
    optional=("figures/",),
)
VIDEOS = ArtefactKind("videos", "dataset", (CARD, "*/metadata.parquet", *(f"*/*{end}" for end in VIDEO_SUFFIXES)))
METRIC = ArtefactKind("metric", "space", (CARD, "requirements.txt", "*.py"))
# No data but examples, and no videos: those that may be shared go to the videos of the data set.
SPACE = ArtefactKind(
    "space",
    "space",
    (
        "requirements.txt",
        "packages.txt",
        "space.json",
        *(f"**/*.{end}" for end in ("css", "html", "jpg", "js", "md", "png", "py", "svg")),
        *(f"examples/*.{end}" for end in ("json", "jsonl")),
    ),
)
# What from_pretrained reads: not the state of optimizer and trainer, and no pickles, which run code where they are loaded.
# But one: the full Qwen2.5-Omni does not load without its spk_dict.pt, and reads no more than tensors from it.
MODEL = ArtefactKind(
    "model",
    "model",
    (
        CARD,
        "LICENSE",
        "recipe.yaml",
        "run.json",
        "training_curves.png",
        "config.json",
        "generation_config.json",
        "*.safetensors",
        "*.safetensors.index.json",
        "adapter_config.json",
        "preprocessor_config.json",
        "processor_config.json",
        "video_preprocessor_config.json",
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "chat_template.jinja",
        "chat_template.json",
        "spk_dict.pt",
    ),
)


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to publish: its path in the repository, where it lies here, and its bytes."""

    path: str
    source: Path
    size: int


@dataclass(frozen=True, slots=True)
class Artefact:
    """What goes to one repository, sorted by path; ``left_out`` gives the reasons by path, folders ending in "/"."""

    kind: ArtefactKind
    files: tuple[LocalFile, ...]
    left_out: dict[str, str]

    def replaces(self, path: str) -> bool:
        """Whether a file of this path on the Hub is ours, and goes if it is not among the files."""
        given = {folder for folder in self.kind.optional if any(file.path.startswith(folder) for file in self.files)}
        left_alone = tuple(folder for folder in self.kind.optional if folder not in given)
        return self.kind.owns(path) and not path.startswith(left_alone)

    def source(self, path: str) -> Path | None:
        """Where the file of this path lies, None if there is none."""
        return next((file.source for file in self.files if file.path == path), None)


def collect(kind: ArtefactKind, places: Mapping[str, Path]) -> Artefact:
    """The files that are published, from one or several places.

    Args:
        kind: of artefact.
        places: a file by its path in the repository, or a folder by the path that its content gets ("" or ending in "/");
            what comes later stands in for a file of the same path.

    Raises:
        PublishError: a place is not there, or a symbolic link was found: what it points to may be private.
    """
    files: dict[str, LocalFile] = {}
    left_out: dict[str, str] = {}
    for target, place in places.items():
        for path, source in _found(target, place):
            if reason := _reason_against(kind, path, source):
                left_out[path] = reason
            else:
                files[path] = LocalFile(path, source, source.stat().st_size)
    return Artefact(kind, tuple(files[path] for path in sorted(files)), left_out)


def stage(artefact: Artefact, folder: Path) -> None:
    """Lays the files out in an empty folder as they will lie in the repository, as links."""
    for file in artefact.files:
        link = folder / file.path
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file.source.resolve())


def _found(target: str, place: Path) -> Iterator[tuple[str, Path]]:
    """The files of a place by their path in the repository, and the folders that are not looked into."""
    if target and not target.endswith("/"):
        if not place.is_file():
            raise PublishError(f"{place}: there is no such file")
        yield target, place
    elif not place.is_dir():
        raise PublishError(f"{place}: there is no such folder")
    else:
        yield from _inside(target, place)


def _inside(target: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not _is_private_name(path.name):
            yield from _inside(f"{target}{path.name}/", path)
        else:
            yield f"{target}{path.name}{'/' if path.is_dir() else ''}", path


def _is_private_name(name: str) -> bool:
    return name.startswith(".") or name in NOT_LOOKED_INTO


def _reason_against(kind: ArtefactKind, path: str, source: Path) -> str | None:
    """Why a file does not go out, None if it does."""
    if _is_private_name(source.name):
        return "hidden files, caches, tests and what was built or installed are not published"
    if source.is_symlink():
        raise PublishError(
            f"{source} is a symbolic link; what it points to may be private. Put a copy in its place (cp -rL copies a "
            "folder with what its links point to), or remove it"
        )
    if not kind.owns(path) or not source.is_file():
        return f"not among the files that a {kind.name} publishes"
    return None


def _fits(path: str, pattern: str) -> bool:
    """Whether a path fits part by part; a pattern that begins with ``**/`` fits in any folder.

    >>> [_fits(path, "**/*.py") for path in ("app.py", "a/b/app.py", "a/b.txt")]
    [True, True, False]
    >>> _fits("a/b.py", "*.py")
    False
    """
    parts, wanted = path.split("/"), pattern.split("/")
    if wanted[0] == ANY_DEPTH:
        wanted = wanted[1:]
        parts = parts[-len(wanted) :]
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
