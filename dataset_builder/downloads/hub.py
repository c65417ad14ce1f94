"""Videos from a data set on the Hugging Face Hub that holds them, as files or in archives."""

import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from pathlib import PurePosixPath
from typing import BinaryIO
from typing import cast

from huggingface_hub import HfApi
from huggingface_hub import HfFileSystem
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.errors import HFValidationError
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils.tqdm import disable_progress_bars

from ..hub_client import CONNECTION_ERROR
from ..video import VIDEO_SUFFIXES
from .archives import ArchiveError
from .archives import Member
from .archives import archives_of
from .archives import copy_member
from .archives import members_of
from .fetching import FetchError
from .fetching import SourceError
from .fetching import VideoSource
from .video_folder import UNCHECKED
from .video_folder import Status
from .wanted import GAP
from .wanted import VIDEO_ID
from .wanted import WantedVideo

UNAV_VIDEOS = "ttgeng233/UnAV-100"
ANYWHERE = "anywhere"
ARCHIVE = "archive:"
_KIND = "dataset"
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A data set repository at one commit, and the paths of its files."""

    repo: str
    commit: str
    paths: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of the source, in reports."""
        return f"hub:{self.repo}"

    def download(self, path: str, folder: Path | None) -> Path:
        """Downloads a file, into ``folder`` or the Hub's cache; goes on where an earlier download was broken off."""
        return Path(hf_hub_download(self.repo, path, repo_type=_KIND, revision=self.commit, local_dir=folder))

    def open_remote(self, path: str) -> BinaryIO:
        """Opens a file that is read in ranges, not downloaded."""
        return cast(BinaryIO, HfFileSystem().open(f"datasets/{self.repo}@{self.commit}/{path}", "rb"))


@dataclass(frozen=True, slots=True)
class _InRepository:
    """What all sources of a repository tell of it."""

    snapshot: Snapshot

    @property
    def name(self) -> str:
        """The repository."""
        return self.snapshot.name

    def details(self) -> Mapping[str, str]:
        """The commit."""
        return {"commit": self.snapshot.commit}


@dataclass(frozen=True, slots=True)
class HubFiles(_InRepository):
    """A repository with a file a video; ``paths`` by video id."""

    paths: Mapping[str, str]

    def in_order(self, wanted: Sequence[WantedVideo]) -> list[WantedVideo]:
        """As they come."""
        return list(wanted)

    def fetch(self, video_id: str, folder: Path) -> Path:
        """Downloads a video; see `VideoSource`."""
        if video_id not in self.paths:
            raise FetchError(Status.MISSING, f"not in {self.snapshot.repo}")
        path = self.paths[video_id]
        with _failures_of_one():
            downloaded = self.snapshot.download(path, folder / "hub")
        return downloaded.replace(folder / f"{video_id}{UNCHECKED}{downloaded.suffix.lower()}")


@dataclass(frozen=True, slots=True)
class HubArchives(_InRepository):
    """A repository with videos in archives; ``members`` by video id, in the archives' order."""

    members: Mapping[str, Member]

    def in_order(self, wanted: Sequence[WantedVideo]) -> list[WantedVideo]:
        """As they lie in the archives: to go back in a compressed one is to read it again from its start."""
        order = {video_id: number for number, video_id in enumerate(self.members)}
        return sorted(wanted, key=lambda video: order.get(video.video_id, len(order)))

    def fetch(self, video_id: str, folder: Path) -> Path:
        """Copies a video out of its archive; see `VideoSource`."""
        if video_id not in self.members:
            raise FetchError(Status.MISSING, f"not in the archives of {self.snapshot.repo}")
        member = self.members[video_id]
        unchecked = folder / f"{video_id}{UNCHECKED}{member.suffix}"
        try:
            with _failures_of_one():
                copy_member(member, unchecked)
        except ArchiveError as error:
            raise FetchError(Status.FAILED, str(error)) from None
        return unchecked


def open_hub(repo: str, layout: str) -> VideoSource:
    """A data set repository as a source of videos.

    Args:
        repo: ``user/name`` of a data set on the Hub.
        layout: how a video's file follows from its id: ``anywhere`` (a video file of that name in any folder), a path with
            ``{video_id}`` in it, or ``archive:PATTERN`` for the videos in the zip and tar archives that the pattern fits.

    Raises:
        SourceError: the repository cannot be read, or holds no video in this layout.
    """
    snapshot = _snapshot(repo)
    if layout.startswith(ARCHIVE):
        return HubArchives(snapshot, _members(snapshot, layout.removeprefix(ARCHIVE)))
    disable_progress_bars()  # a bar a file, between the lines of the one over all
    paths = _paths_by_id(snapshot.paths, layout)
    if not paths:
        raise SourceError(f"{repo} holds no video in the layout {layout!r}. {_what_there_is(snapshot.paths)}")
    return HubFiles(snapshot, paths)


def _snapshot(repo: str) -> Snapshot:
    api = HfApi()
    try:
        commit = api.dataset_info(repo).sha or "main"
        paths = api.list_repo_files(repo, repo_type=_KIND, revision=commit)
    except (HfHubHTTPError, HFValidationError, CONNECTION_ERROR, OSError) as error:
        raise SourceError(
            f"the data set {repo!r} on the Hub cannot be read ({error}). Is the name right? "
            "If it asks for consent, give it on its page and run: hf auth login"
        ) from None
    return Snapshot(repo, commit, tuple(path for path in sorted(paths) if ".." not in PurePosixPath(path).parts))


def _paths_by_id(paths: Sequence[str], layout: str) -> dict[str, str]:
    """The first path of each video id that fits the layout."""
    pattern = rf"(?:.*/)?(?P<id>{VIDEO_ID.pattern})\.[^./]+"
    if layout != ANYWHERE:
        before, _, after = layout.partition(GAP)
        pattern = rf"{re.escape(before)}(?P<id>{VIDEO_ID.pattern}){re.escape(after)}"
    found: dict[str, str] = {}
    for path in paths:
        fit = re.fullmatch(pattern, path)
        if fit and PurePosixPath(path).suffix.lower() in VIDEO_SUFFIXES:
            found.setdefault(fit["id"], path)
    return found


def _members(snapshot: Snapshot, pattern: str) -> dict[str, Member]:
    archives = archives_of(path for path in snapshot.paths if fnmatchcase(path, pattern))
    if not archives:
        raise SourceError(f"{snapshot.repo} holds no archive {pattern!r}. {_what_there_is(snapshot.paths)}")
    members: dict[str, Member] = {}
    for name, parts in archives.items():
        try:
            files = [_open_part(snapshot, name, part) for part in parts]
            for video_id, member in members_of(name, files).items():
                members.setdefault(video_id, member)
        except (ArchiveError, HfHubHTTPError, CONNECTION_ERROR, OSError) as error:
            raise SourceError(
                f"{snapshot.repo}: {name} cannot be read ({error}). Unpack it by hand, then: r-avst-videos --check"
            ) from None
    return members


def _open_part(snapshot: Snapshot, archive: str, part: str) -> BinaryIO:
    """A zip is read where it is: its directory says where each video lies. A tar has none and is downloaded whole."""
    if archive.lower().endswith(".zip"):
        return snapshot.open_remote(part)
    return snapshot.download(part, None).open("rb")


def _what_there_is(paths: Sequence[str]) -> str:
    if archives := archives_of(paths):
        return f"It has archives: {', '.join(archives)}; say --layout '{ARCHIVE}{next(iter(archives))}*'"
    return f"It has {len(paths)} files, such as {', '.join(paths[:5])}; say --layout 'FOLDER/{GAP}.mp4'"


@contextmanager
def _failures_of_one() -> Iterator[None]:
    """What the Hub's client raises, as a failure of one video."""
    try:
        yield
    except (CONNECTION_ERROR, OSError, RuntimeError) as error:  # RuntimeError: of the Hub's chunked downloads
        raise FetchError(_status_of(error), " ".join(str(error).split())) from None


def _status_of(error: Exception) -> Status:
    """No answer, "too many requests" and errors of the server say nothing of the video."""
    answer = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else error  # it wraps what kept the file away
    if not isinstance(answer, HfHubHTTPError):
        return Status.UNREACHABLE
    code = answer.response.status_code
    return Status.UNREACHABLE if code == _TOO_MANY_REQUESTS or code >= 500 else Status.FAILED
