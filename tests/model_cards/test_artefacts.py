from pathlib import Path

import pytest

from r_avst.dataset_builder.dataset_folder import REPORT
from r_avst.model_cards.artefacts import DATASET
from r_avst.model_cards.artefacts import METRIC
from r_avst.model_cards.artefacts import MODEL
from r_avst.model_cards.artefacts import SPACE
from r_avst.model_cards.artefacts import VIDEOS
from r_avst.model_cards.artefacts import ArtefactKind
from r_avst.model_cards.artefacts import PublishError
from r_avst.model_cards.artefacts import collect
from r_avst.model_cards.artefacts import stage


def write(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return folder


@pytest.mark.parametrize(
    ("kind", "ours", "not_ours"),
    [
        (
            DATASET,
            ["README.md", REPORT, "events/r-avst-test-0a.parquet", "figures/a.svg", "figures/statistics.json"],
            [
                "notes.md",
                "events/other.parquet",
                "r-avst-test-0a.parquet",
                "figures/a.txt",
                "figures/b/a.svg",
                "a/b/r-avst-x.parquet",
            ],
        ),
        (VIDEOS, ["README.md", "test/metadata.parquet", "train/a.mp4"], ["a.mp4", "test/licences.csv", "test/.a.mp4.part"]),
        (METRIC, ["README.md", "app.py", "requirements.txt"], ["scores.json", "word2vec.bin"]),
        (
            SPACE,
            ["README.md", "a/b/app.py", "style.css", "examples/a.json"],
            ["client_secret.json", "a.mp4", "examples/a.db"],
        ),
        (
            MODEL,
            [
                "README.md",
                "config.json",
                "model-00001-of-00002.safetensors",
                "model.safetensors.index.json",
                "tokenizer.json",
                "spk_dict.pt",
            ],
            [
                "optimizer.pt",
                "training_args.bin",
                "trainer_state.json",
                "pytorch_model.bin",
                "checkpoint-1/config.json",
                "log.txt",
            ],
        ),
    ],
)
def test_only_what_belongs_to_a_kind_goes_out(
    tmp_path: Path, kind: ArtefactKind, ours: list[str], not_ours: list[str]
) -> None:
    artefact = collect(kind, {"": write(tmp_path, *ours, *not_ours)})
    assert [file.path for file in artefact.files] == sorted(ours)
    assert sorted(artefact.left_out) == sorted(not_ours)


FOLDERS = ["venv/lib/a.py", "node_modules/a.js", "build/lib/a.py", "tests/test_a.py", "sub/tests/a.py"]


@pytest.mark.parametrize("path", [".env", ".git/config", "__pycache__/a.py", "sub/.cache/a.py", ".hidden.py", *FOLDERS])
def test_hidden_files_and_caches_are_left_out_and_named_once(tmp_path: Path, path: str) -> None:
    artefact = collect(SPACE, {"": write(tmp_path, "app.py", path)})
    assert [file.path for file in artefact.files] == ["app.py"]
    ((left, reason),) = artefact.left_out.items()
    assert path.startswith(left)
    assert reason == "hidden files, caches, tests and what was built or installed are not published"


@pytest.mark.parametrize("to_folder", [True, False])
def test_a_symbolic_link_is_refused(tmp_path: Path, to_folder: bool) -> None:
    outside = write(tmp_path / "outside", "secret.py")
    folder = write(tmp_path / "space", "app.py")
    (folder / "link.py").symlink_to(outside if to_folder else outside / "secret.py")
    with pytest.raises(PublishError, match=r"space/link\.py is a symbolic link; what it points to may be private"):
        collect(SPACE, {"": folder})


def test_several_places_make_one_artefact_and_later_ones_win(tmp_path: Path) -> None:
    folder = write(tmp_path / "r-avst", "README.md", "events/r-avst-test-0.parquet")
    figures = write(tmp_path / "elsewhere", "a.svg", "draft.xcf")
    card = write(tmp_path, "card.md") / "card.md"
    artefact = collect(DATASET, {"": folder, "figures/": figures, "README.md": card})
    assert {file.path: file.source for file in artefact.files} == {
        "README.md": card,
        "events/r-avst-test-0.parquet": folder / "events" / "r-avst-test-0.parquet",
        "figures/a.svg": figures / "a.svg",
    }
    assert [file.size for file in artefact.files] == [7, 28, 5]
    assert list(artefact.left_out) == ["figures/draft.xcf"]


@pytest.mark.parametrize(
    ("target", "said"), [("", "nowhere: there is no such folder"), ("README.md", "nowhere: there is no such file")]
)
def test_a_place_that_is_not_there_is_named(tmp_path: Path, target: str, said: str) -> None:
    with pytest.raises(PublishError, match=said):
        collect(DATASET, {target: tmp_path / "nowhere"})


def test_a_staged_artefact_reads_like_its_files(tmp_path: Path) -> None:
    folder = write(tmp_path / "space", "app.py", "a/b.py", "left.bin")
    stage(collect(SPACE, {"": folder}), tmp_path / "staged")
    staged = tmp_path / "staged"
    assert {str(path.relative_to(staged)): path.read_text() for path in staged.rglob("*") if path.is_file()} == {
        "app.py": "app.py",
        "a/b.py": "a/b.py",
    }
