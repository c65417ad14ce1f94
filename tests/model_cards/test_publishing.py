import hashlib
from pathlib import Path

import pytest
from huggingface_hub.hf_api import RepoFile

from r_avst.model_cards.artefacts import DATASET
from r_avst.model_cards.artefacts import MODEL
from r_avst.model_cards.artefacts import LocalFile
from r_avst.model_cards.artefacts import collect
from r_avst.model_cards.publishing import Remote
from r_avst.model_cards.publishing import is_same
from r_avst.model_cards.publishing import plan_changes

# what `git hash-object` says of "hello\n"
HELLO_BLOB = "ce013625030ba8dba906f756967f9e9ca394464a"
HELLO_SHA256 = hashlib.sha256(b"hello\n").hexdigest()


def small(path: str, blob: str = HELLO_BLOB, size: int = 6) -> RepoFile:
    return RepoFile(path=path, size=size, oid=blob)  # type: ignore[no-untyped-call]


def large(path: str, sha256: str = HELLO_SHA256, size: int = 6) -> RepoFile:
    told = {"size": size, "oid": sha256, "pointerSize": 134}
    return RepoFile(path=path, size=size, oid="0" * 40, lfs=told)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("remote", "same"),
    [
        (small("a"), True),
        (small("a", blob="0" * 40), False),
        (small("a", size=7), False),
        (large("a"), True),
        (large("a", sha256="0" * 64), False),
    ],
)
def test_files_are_compared_by_what_the_hub_tells_of_them(tmp_path: Path, remote: RepoFile, same: bool) -> None:
    (tmp_path / "a").write_text("hello\n")
    assert is_same(LocalFile("a", tmp_path / "a", 6), remote) is same


def test_a_plan_has_what_is_new_or_changed_what_stays_and_what_goes(tmp_path: Path) -> None:
    for name in ("README.md", "config.json", "a.safetensors", "new.safetensors"):
        (tmp_path / name).write_text("hello\n")
    there = [
        small(".gitattributes"),
        small("README.md"),
        small("config.json", size=1),
        large("a.safetensors"),
        large("old.safetensors"),
        small("notes.txt"),
    ]
    plan = plan_changes(collect(MODEL, {"": tmp_path}), Remote("c" * 40, {file.path: file for file in there}))
    assert [file.path for file in plan.uploaded] == ["config.json", "new.safetensors"]
    assert [file.path for file in plan.unchanged] == ["README.md", "a.safetensors"]
    assert plan.deleted == ("old.safetensors",)
    assert plan.replaced == ("config.json",)
    assert (plan.upload_bytes, plan.is_empty) == (12, False)


@pytest.mark.parametrize(("given", "deleted"), [([], ()), (["figures/new.svg"], ("figures/old.svg",))])
def test_figures_on_the_hub_stay_where_none_are_given(tmp_path: Path, given: list[str], deleted: tuple[str, ...]) -> None:
    (tmp_path / "figures").mkdir()
    for name in ("README.md", *given):
        (tmp_path / name).write_text("hello\n")
    there = {path: small(path) for path in ("README.md", "figures/old.svg")}
    plan = plan_changes(collect(DATASET, {"": tmp_path}), Remote("c" * 40, there))
    assert plan.deleted == deleted


def test_a_repository_that_is_not_there_gets_everything(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    plan = plan_changes(collect(MODEL, {"": tmp_path}), None)
    assert ([file.path for file in plan.uploaded], plan.unchanged, plan.deleted) == (["config.json"], (), ())
