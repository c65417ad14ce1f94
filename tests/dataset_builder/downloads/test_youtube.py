"""The real yt-dlp, against a video site on loopback; and what its messages say of a video."""

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from site_server import SiteServer
from site_server import running_site

from r_avst.dataset_builder.downloads.fetching import FetchError
from r_avst.dataset_builder.downloads.fetching import SourceError
from r_avst.dataset_builder.downloads.video_folder import Status
from r_avst.dataset_builder.downloads.youtube import WATCH_PAGE
from r_avst.dataset_builder.downloads.youtube import YoutubeVideos
from r_avst.dataset_builder.downloads.youtube import classify

pytest.importorskip("yt_dlp")


@pytest.fixture
def site() -> Iterator[SiteServer]:
    with running_site() as server:
        yield server


@pytest.fixture
def clip(clips_folder: Path) -> bytes:
    return (clips_folder / "nasa_13013.mp4").read_bytes()


def failure(site: SiteServer, video_id: str, folder: Path) -> FetchError:
    with pytest.raises(FetchError) as caught:
        YoutubeVideos(site.address).fetch(video_id, folder)
    return caught.value


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Private video. Sign in if you've been granted access to this video. Use --cookies", Status.PRIVATE),
        ("This video is private. If the owner of this video has granted you access, please sign in.", Status.PRIVATE),
        ("Join this channel to get access to members-only content like this video", Status.PRIVATE),
        ("This video requires payment to watch", Status.PRIVATE),
        ("Video unavailable", Status.REMOVED),
        ("Video unavailable. This video is not available", Status.REMOVED),
        ("Video unavailable. This video has been removed by the uploader", Status.REMOVED),
        ("Video unavailable. This video is no longer available because the YouTube account associated with this video has "
         "been terminated.", Status.REMOVED),
        ("This video has been removed for violating YouTube's Terms of Service", Status.REMOVED),
        ("Video unavailable. The uploader has closed their YouTube account", Status.REMOVED),
        ("Video unavailable. This video isn’t available anymore", Status.REMOVED),
        ("Unable to download webpage: HTTP Error 404: Not Found (caused by <HTTPError 404: Not Found>)", Status.REMOVED),
        ("Unable to download webpage: HTTP Error 410: Gone", Status.REMOVED),
        ("Video unavailable. This video is no longer available due to a copyright claim by Warner", Status.COPYRIGHT),
        ("Video unavailable. This video contains content from SME, who has blocked it on copyright", Status.COPYRIGHT),
        ("Video unavailable. This video contains content from x, who has blocked it in your country on copyright grounds",
         Status.REGION_LOCKED),
        ("The uploader has not made this video available in your country. You might want a VPN", Status.REGION_LOCKED),
        ("This video is not available from your location due to geo restriction", Status.REGION_LOCKED),
        ("Sign in to confirm your age. This video may be inappropriate for some users.", Status.AGE_RESTRICTED),
        ("Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies", Status.UNREACHABLE),
        ("Video unavailable. This content isn't available, try again later. The current session has been rate-limited by "
         "YouTube for up to an hour.", Status.UNREACHABLE),
        ("Sorry. YouTube is requiring a captcha challenge before playback", Status.UNREACHABLE),
        ("Unable to download webpage: HTTP Error 429: Too Many Requests", Status.UNREACHABLE),
        ("Unable to download webpage: HTTP Error 503: Service Unavailable", Status.UNREACHABLE),
        ("Failed to resolve 'www.youtube.com' ([Errno -2] Name or service not known)", Status.UNREACHABLE),
        ("Failed to establish a new connection: [Errno 111] Connection refused", Status.UNREACHABLE),
        ("Read timed out. (caused by TransportError)", Status.UNREACHABLE),
        ("[download] Got error: 205930 bytes read, 205931 more expected. Giving up after 1 retries", Status.UNREACHABLE),
        ("unable to write data: [Errno 28] No space left on device", Status.UNREACHABLE),
        ("Video unavailable. Playback on other websites has been disabled by the video owner", Status.FAILED),
        ("Requested format is not available. Use --list-formats", Status.FAILED),
        ("unable to download video data: HTTP Error 403: Forbidden", Status.FAILED),
        ("Unsupported URL: http://127.0.0.1/html", Status.FAILED),
        ("", Status.FAILED),
    ],
)  # fmt: skip
def test_what_is_said_is_understood(said: str, status: Status) -> None:
    assert classify(f"ERROR: [youtube] 72f67ednp7w: {said}") is status


def test_a_video_comes_whole(site: SiteServer, clip: bytes, tmp_path: Path) -> None:
    site.videos["-a_1"] = clip
    fetched = YoutubeVideos(site.address).fetch("-a_1", tmp_path)
    assert fetched == tmp_path / "-a_1.unchecked.mp4"
    assert fetched.read_bytes() == clip
    assert list(tmp_path.iterdir()) == [fetched]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (404, Status.REMOVED),
        (410, Status.REMOVED),
        (403, Status.FAILED),
        (500, Status.UNREACHABLE),
        (429, Status.UNREACHABLE),
    ],
)
def test_an_error_of_the_site_is_understood(site: SiteServer, tmp_path: Path, code: int, status: Status) -> None:
    site.statuses["a"] = [code] * 9
    error = failure(site, "a", tmp_path)
    assert error.status is status
    assert f"HTTP Error {code}" in str(error)


def test_a_page_instead_of_a_video_is_a_failure(site: SiteServer, tmp_path: Path) -> None:
    site.pages["a"] = b"<html><head><title>Soon</title></head><body>Come back later</body></html>"
    error = failure(site, "a", tmp_path)
    assert (error.status, str(error)[:15]) == (Status.FAILED, "Unsupported URL")


def test_a_page_may_not_lead_to_another_site(site: SiteServer, clip: bytes, tmp_path: Path) -> None:
    site.pages["a"] = b'<html><body><iframe src="https://player.vimeo.com/video/76979871"></iframe></body></html>'
    assert failure(site, "a", tmp_path).status is Status.FAILED
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_broke_off_goes_on_where_it_stopped(site: SiteServer, clip: bytes, tmp_path: Path) -> None:
    site.videos["a"], site.breaks["a"] = clip, 99
    assert failure(site, "a", tmp_path).status is Status.UNREACHABLE
    part = tmp_path / "a.unchecked.mp4.part"
    kept = part.stat().st_size
    assert 0 < kept < len(clip)
    site.breaks["a"] = 0
    before = len(site.requests)
    assert YoutubeVideos(site.address).fetch("a", tmp_path).read_bytes() == clip
    assert kept in [start for _, start, _ in site.requests[before:]]


def test_the_rate_is_limited(site: SiteServer, clip: bytes, tmp_path: Path) -> None:
    site.videos["a"] = clip
    started = time.monotonic()
    YoutubeVideos(site.address, rate_limit=len(clip)).fetch("a", tmp_path)  # 1 s; it takes milliseconds without a limit
    assert time.monotonic() - started > 0.7


def test_nobody_there_is_no_fault_of_the_video(tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        YoutubeVideos("http://127.0.0.1:1/{video_id}").fetch("a", tmp_path)
    assert caught.value.status is Status.UNREACHABLE
    assert len(str(caught.value)) <= 300


def test_a_percent_sign_in_the_folder_s_name_is_kept(site: SiteServer, clip: bytes, tmp_path: Path) -> None:
    site.videos["a"] = clip
    folder = tmp_path / "100%(id)s"
    folder.mkdir()
    assert YoutubeVideos(site.address).fetch("a", folder) == folder / "a.unchecked.mp4"


def test_without_ffmpeg_it_asks_for_one_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert YoutubeVideos(max_height=480).details()["format"] == "b[height<=?480][ext=mp4]"
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    assert shutil.which("ffmpeg")
    assert YoutubeVideos(max_height=480).details()["format"].startswith("bv[height<=?480][ext=mp4]+ba[ext=m4a]/")


def test_youtube_is_the_usual_site() -> None:
    assert YoutubeVideos().name == WATCH_PAGE


def test_without_yt_dlp_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "yt_dlp", None)
    with pytest.raises(SourceError, match=r"pip install 'r-avst\[videos\]'"):
        YoutubeVideos().fetch("a", tmp_path)
