"""The Hub that the publishing tests rely on, asked by the unmodified clients."""

import hashlib
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_hub import READ_TOKEN
from local_hub import TOKEN
from local_hub import Fault
from local_hub import Hub
from local_hub import Kind
from local_hub import client_environment
from local_hub import running_local_hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with running_local_hub(tmp_path / "hub") as running:
        yield running


def ran(hub: Hub, home: Path, script: str, token: str | None = TOKEN) -> Any:
    """What a script with an `HfApi` prints as JSON."""
    home.mkdir(exist_ok=True)
    whole = f"import json\nfrom huggingface_hub import HfApi\napi = HfApi()\n{script}"
    done = subprocess.run(
        [sys.executable, "-c", whole],
        env=client_environment(hub.url, home, token),
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def asked(url: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


def test_push_to_hub_of_a_data_set_comes_back_whole_and_streamed(hub: Hub, tmp_path: Path) -> None:
    script = """
from datasets import Dataset, load_dataset
Dataset.from_dict({"a": [1, 2, 3]}).push_to_hub("user/numbers", split="test")
whole = load_dataset("user/numbers", split="test")["a"][:]
print(json.dumps([whole, [row["a"] for row in load_dataset("user/numbers", split="test", streaming=True)]]))
"""
    assert ran(hub, tmp_path / "home", script) == [[1, 2, 3], [1, 2, 3]]


def test_a_repository_is_made_filled_listed_and_deleted(hub: Hub, tmp_path: Path) -> None:
    script = """
api.create_repo("user/m")
api.upload_file(path_or_fileobj=b"text", path_in_repo="a/b.txt", repo_id="user/m")
api.upload_file(path_or_fileobj=b"weights", path_in_repo="w.safetensors", repo_id="user/m")
listed = {entry.path: getattr(entry, "size", None) for entry in api.list_repo_tree("user/m", recursive=True)}
top = [entry.path for entry in api.list_repo_tree("user/m")]
(info,) = api.get_paths_info("user/m", ["w.safetensors"])
large = info.lfs.sha256
branch = api.list_repo_refs("user/m").branches[0].name
api.delete_repo("user/m")
print(json.dumps([listed, top, large, branch, api.repo_exists("user/m")]))
"""
    listed, top, large, branch, there = ran(hub, tmp_path / "home", script)
    assert listed == {".gitattributes": 21, "a": None, "a/b.txt": 4, "w.safetensors": 7}
    assert (top, branch, there) == ([".gitattributes", "a", "w.safetensors"], "main", False)
    assert [large] == hub.stored == [hashlib.sha256(b"weights").hexdigest()]


def test_a_file_is_given_in_ranges_with_what_the_clients_ask_for(hub: Hub) -> None:
    repo = hub.create(Kind.DATASETS, "user/d")
    commit = repo.add("a file", repo.head.tree | {"a.txt": hub.put(b"0123456789")})
    url = f"{hub.url}/datasets/user/d/resolve/main/a.txt"
    status, content, headers = asked(url, Range="bytes=2-4")
    assert (status, content, headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert headers["x-repo-commit"] == commit.sha
    assert headers["etag"] == f'"{commit.tree["a.txt"].blob}"'


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("api/datasets/user/none", 404, "RepoNotFound"),
        ("api/datasets/user/d/revision/none", 404, "RevisionNotFound"),
        ("datasets/user/d/resolve/main/none.txt", 404, "EntryNotFound"),
    ],
)
def test_what_is_missing_is_told_by_a_code(hub: Hub, path: str, status: int, code: str) -> None:
    hub.create(Kind.DATASETS, "user/d")
    answer = asked(f"{hub.url}/{path}", Authorization=f"Bearer {TOKEN}")
    assert (answer[0], answer[2]["x-error-code"]) == (status, code)


@pytest.mark.parametrize(("token", "status"), [(TOKEN, 200), (READ_TOKEN, 200), ("hf_unknown", 401)])
def test_a_token_is_known_or_not(hub: Hub, token: str, status: int) -> None:
    assert asked(f"{hub.url}/api/whoami-v2", Authorization=f"Bearer {token}")[0] == status


def test_a_private_repository_is_only_its_owner_s(hub: Hub) -> None:
    hub.create(Kind.MODELS, "user/secret", private=True)
    url = f"{hub.url}/api/models/user/secret"
    assert asked(url)[0] == 401
    assert asked(url, Authorization=f"Bearer {TOKEN}")[0] == 200


def test_a_fault_strikes_after_as_many_requests_and_as_often_as_it_should(hub: Hub) -> None:
    hub.create(Kind.MODELS, "user/m")
    hub.faults.append(Fault("GET /api/models", 503, times=2, after=1))
    statuses = [asked(f"{hub.url}/api/models/user/m")[0] for _ in range(4)]
    assert statuses == [200, 503, 503, 200]


def test_a_commit_with_a_fault_in_it_changes_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.create(Kind.MODELS, "user/m")
    script = """
from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from huggingface_hub.errors import EntryNotFoundError
operations = [CommitOperationAdd("new.txt", b"new"), CommitOperationDelete("none.txt")]
try:
    api.create_commit("user/m", operations, commit_message="half")
except EntryNotFoundError:
    print(json.dumps(api.list_repo_files("user/m")))
"""
    assert ran(hub, tmp_path / "home", script) == [".gitattributes"]
