"""One artefact to one repository: what differs from the Hub goes there in one commit, so that readers never see a half."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from huggingface_hub import CommitOperationAdd
from huggingface_hub import CommitOperationDelete
from huggingface_hub import HfApi
from huggingface_hub import RepoCard
from huggingface_hub import get_token
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from .artefact_checks import SDK
from .artefacts import Artefact
from .artefacts import LocalFile
from .artefacts import PublishError
from .hub_errors import NO_TOKEN
from .hub_errors import explained

REPO_TYPES = ("dataset", "model", "space")
READS_ONLY = "read"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """A repository on the Hub. ``private``: one that is made anew is private; one that is there must be."""

    repo_id: str
    repo_type: str
    private: bool


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository as it stands on the Hub: its last commit, and its files by path."""

    commit: str
    files: dict[str, RepoFile]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a commit would change.

    Attributes:
        uploaded: what is new or changed.
        unchanged: what stays as it is.
        deleted: paths of ours that are no longer here.
        replaced: paths of those uploaded that stand on the Hub with another content.
    """

    uploaded: tuple[LocalFile, ...]
    unchanged: tuple[LocalFile, ...]
    deleted: tuple[str, ...]
    replaced: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the Hub holds just this already."""
        return not self.uploaded and not self.deleted

    @property
    def upload_bytes(self) -> int:
        """Of the files that changed, in all."""
        return sum(file.size for file in self.uploaded)


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a publication: the commit that holds the artefact, and what it changed."""

    commit: str
    plan: Plan


def preview(artefact: Artefact, target: Target) -> tuple[Remote | None, Plan]:
    """What publishing would change. Only reads; needs no token where the repository is public.

    Returns:
        The repository, None if it is not there yet, and the plan.

    Raises:
        PublishError: the Hub cannot be read, or it holds something under this name that must not be changed.
    """
    with explained(target.repo_id):
        remote = _remote(HfApi(), target)
    return remote, plan_changes(artefact, remote)


def check_target(target: Target, card: RepoCard) -> None:
    """Asks the Hub whether this may be published there, before anything is sent.

    Raises:
        PublishError: there is no token, it does not do, the name is taken by another kind, or the card is rejected.
    """
    if get_token() is None:
        raise PublishError(NO_TOKEN)
    api = HfApi()
    with explained(target.repo_id):
        _check_account(api)
        _remote(api, target)
        _check_card(card, target)


def publish(artefact: Artefact, target: Target) -> Published:
    """Brings the Hub to hold the artefact, in one commit; none where nothing changed.

    Large files go first and are kept by the Hub: after a broken upload they are not sent again. A commit that somebody made
    meanwhile is never overwritten.

    Raises:
        PublishError: it could not be; what was on the Hub before is there still.
    """
    api = HfApi()
    with explained(target.repo_id):
        remote = _remote(api, target) or _create(api, target)
        plan = plan_changes(artefact, remote)
        commit = remote.commit if plan.is_empty else _commit(api, target, plan, remote.commit)
        _check_files(artefact, _files(api, target, commit))
    return Published(commit, plan)


def plan_changes(artefact: Artefact, remote: Remote | None) -> Plan:
    """What differs between the artefact and the repository; files on the Hub that are not of this kind are left alone."""
    there = remote.files if remote else {}
    same = {file.path for file in artefact.files if file.path in there and is_same(file, there[file.path])}
    ours = {file.path for file in artefact.files}
    return Plan(
        tuple(file for file in artefact.files if file.path not in same),
        tuple(file for file in artefact.files if file.path in same),
        tuple(sorted(path for path in there if path not in ours and artefact.replaces(path))),
        tuple(file.path for file in artefact.files if file.path in there and file.path not in same),
    )


def is_same(file: LocalFile, remote: RepoFile) -> bool:
    """Whether the Hub holds the same bytes, by what it tells of a file: SHA-256 of large files, git's name of the others."""
    if file.size != remote.size:
        return False
    if remote.lfs is not None:
        return _digest(file, hashlib.sha256()) == remote.lfs.sha256
    return _digest(file, hashlib.sha1(b"blob %d\0" % file.size)) == remote.blob_id


def _digest(file: LocalFile, digest: "hashlib._Hash") -> str:
    with file.source.open("rb") as content:
        while data := content.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()


def _check_account(api: HfApi) -> None:
    """A token that only reads would fail after the upload; say so before."""
    account = api.whoami()
    role = account.get("auth", {}).get("accessToken", {}).get("role")
    if role == READS_ONLY:
        raise PublishError(f"the token of {account['name']} only reads; make one that writes at hf.co/settings/tokens")


def _remote(api: HfApi, target: Target) -> Remote | None:
    try:
        info = api.repo_info(target.repo_id, repo_type=target.repo_type)
    except RepositoryNotFoundError:
        _check_other_kinds(api, target)
        return None
    if target.private and not info.private:
        raise PublishError(
            f"{target.repo_id} is there and public; --private does not change that. Make it private in its settings, or "
            "leave --private out"
        )
    commit = str(info.sha)
    return Remote(commit, _files(api, target, commit))


def _check_other_kinds(api: HfApi, target: Target) -> None:
    """The Hub would make a second repository of the same name; that is hardly ever meant."""
    for kind in REPO_TYPES:
        if kind != target.repo_type and api.repo_exists(target.repo_id, repo_type=kind):
            raise PublishError(
                f"{target.repo_id} is there as a {kind}, and would become a {target.repo_type}; give another --repo-id"
            )


def _files(api: HfApi, target: Target, commit: str) -> dict[str, RepoFile]:
    entries = api.list_repo_tree(target.repo_id, repo_type=target.repo_type, revision=commit, recursive=True)
    return {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}


def _check_card(card: RepoCard, target: Target) -> None:
    try:
        card.validate(repo_type=target.repo_type)
    except ValueError as error:
        raise PublishError(f"the Hub rejects the card of {target.repo_id}: {error}. Correct its metadata") from None


def _create(api: HfApi, target: Target) -> Remote:
    sdk = SDK if target.repo_type == "space" else None
    # without --private the namespace's own default holds
    private = True if target.private else None
    api.create_repo(target.repo_id, repo_type=target.repo_type, private=private, space_sdk=sdk, exist_ok=True)
    created = _remote(api, target)
    if created is None:
        raise PublishError(f"{target.repo_id} was made and is not to be found; look at its page on the Hub")
    return created


def _commit(api: HfApi, target: Target, plan: Plan, parent: str) -> str:
    """One commit, made only if ``parent`` is still the last one. `upload_folder` would make several of a large folder."""
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        *(CommitOperationDelete(path) for path in plan.deleted),
        *(CommitOperationAdd(file.path, str(file.source)) for file in plan.uploaded),
    ]
    made = api.create_commit(
        target.repo_id,
        operations,
        commit_message=f"Publish: {len(plan.uploaded)} files changed, {len(plan.deleted)} deleted",
        repo_type=target.repo_type,
        parent_commit=parent,
    )
    return str(made.oid)


def _check_files(artefact: Artefact, there: dict[str, RepoFile]) -> None:
    """Every file of ours is on the Hub as it is here."""
    other = [file.path for file in artefact.files if file.path not in there or not is_same(file, there[file.path])]
    if other:
        raise PublishError(f"{_some(other)}: on the Hub it is not what it is here; was it changed meanwhile? Publish again")


def _some(paths: Sequence[str]) -> str:
    shown = ", ".join(paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"
