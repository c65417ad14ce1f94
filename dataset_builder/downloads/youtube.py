"""Videos from YouTube, or another site that has them by id, through yt-dlp."""

import logging
import re
import shutil
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .fetching import FetchError
from .fetching import SourceError
from .video_folder import UNCHECKED
from .video_folder import Status
from .wanted import GAP
from .wanted import WantedVideo

WATCH_PAGE = "https://www.youtube.com/watch?v={video_id}"
MAX_HEIGHT = 720
SOCKET_TIMEOUT = 30.0  # seconds
MAX_BYTES = 2 << 30
_REASON_LENGTH = 300

# What yt-dlp and YouTube say, the first that fits. What speaks of the asking machine comes before what speaks of the video:
# "Video unavailable. This content isn't available, try again later" is a rate limit.
_SAID: tuple[tuple[str, Status], ...] = (
    (r"HTTP Error (429|5\d\d)|not a bot|rate-limited|captcha|try again later", Status.UNREACHABLE),
    (r"timed out|Failed to resolve|Failed to establish|Connection re(fused|set)|Remote end closed", Status.UNREACHABLE),
    (r"more expected|IncompleteRead|No space left on device", Status.UNREACHABLE),
    (r"other websites has been disabled", Status.FAILED),
    (r"private video|video is private|members.only|join this channel|requires? (payment|purchase)", Status.PRIVATE),
    (r"confirm your age|age.restricted|inappropriate for some users", Status.AGE_RESTRICTED),
    (r"(in|from) your (country|region|location)|geo.?restrict", Status.REGION_LOCKED),
    (r"copyright", Status.COPYRIGHT),
    (r"account .*(terminated|closed)|been removed|removed by|no longer available|does(n't| not) exist", Status.REMOVED),
    (r"video (is )?(unavailable|not available)|video isn't available|HTTP Error (404|410)", Status.REMOVED),
)
_QUIET = logging.getLogger(__name__)
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False  # yt-dlp also writes what it raises


def classify(message: str) -> Status:
    """What an error message of yt-dlp says of a video.

    >>> classify("ERROR: [youtube] 72f67ednp7w: Private video. Sign in if you've been granted access to this video").value
    'private'
    """
    plain = message.replace("’", "'")
    return next((status for pattern, status in _SAID if re.search(pattern, plain, re.IGNORECASE)), Status.FAILED)


@dataclass(frozen=True, slots=True)
class YoutubeVideos:
    """Whole videos, as MP4 of at most a height.

    Without the program `ffmpeg` picture and sound cannot be merged: then it takes what the site has in one file, on
    YouTube of 360 lines. ``rate_limit`` in bytes a second; ``cookies`` is a file in Netscape's form.
    """

    url: str = WATCH_PAGE
    max_height: int = MAX_HEIGHT
    rate_limit: int | None = None
    cookies: Path | None = None

    @property
    def name(self) -> str:
        """The address with a gap for the id."""
        return self.url

    def details(self) -> Mapping[str, str]:
        """The version of yt-dlp, and what it was asked for."""
        return {"yt_dlp": _yt_dlp().version.__version__, "format": self._format()}

    def in_order(self, wanted: Sequence[WantedVideo]) -> list[WantedVideo]:
        """As they come."""
        return list(wanted)

    def fetch(self, video_id: str, folder: Path) -> Path:
        """Downloads a video; see `VideoSource`."""
        yt_dlp = _yt_dlp()
        unchecked = folder / f"{video_id}{UNCHECKED}.mp4"
        try:
            with yt_dlp.YoutubeDL(self._settings(unchecked)) as downloader:
                downloader.download([self.url.replace(GAP, video_id)])
        except yt_dlp.utils.YoutubeDLError as error:
            raise FetchError(classify(str(error)), _plain(str(error))) from None
        if not unchecked.is_file():  # a live stream, or over the limit of size: yt-dlp leaves it out without an error
            raise FetchError(Status.FAILED, f"yt-dlp left it out: live, or larger than {MAX_BYTES >> 20} MiB")
        return unchecked

    def _format(self) -> str:
        one_file = f"b[height<=?{self.max_height}][ext=mp4]"
        if shutil.which("ffmpeg") is None:
            return one_file
        return f"bv[height<=?{self.max_height}][ext=mp4]+ba[ext=m4a]/{one_file}"

    def _settings(self, unchecked: Path) -> dict[str, Any]:
        return {
            "format": self._format(),
            "outtmpl": str(unchecked.with_suffix("")).replace("%", "%%") + ".%(ext)s",
            "merge_output_format": "mp4",
            "max_filesize": MAX_BYTES,
            "match_filter": _yt_dlp().utils.match_filter_func("!is_live"),
            "allowed_extractors": ["youtube", "generic"],  # a page may not lead on to other sites
            "noplaylist": True,
            "continuedl": True,
            "ratelimit": self.rate_limit,
            "cookiefile": str(self.cookies) if self.cookies else None,
            "socket_timeout": SOCKET_TIMEOUT,
            "updatetime": False,
            "quiet": True,
            "noprogress": True,
            "color": "no_color",
            "logger": _QUIET,
        }


def _yt_dlp() -> Any:
    try:
        import yt_dlp
    except ImportError:
        raise SourceError("videos from YouTube need yt-dlp: pip install 'r-avst[videos]'") from None
    return yt_dlp


def _plain(message: str) -> str:
    words = " ".join(message.removeprefix("ERROR:").split())
    return words if len(words) <= _REASON_LENGTH else f"{words[: _REASON_LENGTH - 3]}..."
