"""What is taken of what people upload, told by real files; and that what is kept goes."""

import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from sounding_clips import write_sounding_clip
from written_videos import write_numbered
from written_videos import write_sound
from written_videos import write_video

from r_avst.space.uploads import NAME_SHOWN
from r_avst.space.uploads import Kept
from r_avst.space.uploads import Limits
from r_avst.space.uploads import Room
from r_avst.space.uploads import UploadedVideo
from r_avst.space.uploads import UploadError
from r_avst.space.uploads import Uploads
from r_avst.space.uploads import check_upload

LIMITS = Limits(seconds=20, megabytes=1, side=320)
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sounding_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 2.0)


def refused(path: Path, limits: Limits = LIMITS) -> str:
    """The message; it never holds a path of this machine."""
    with pytest.raises(UploadError) as caught:
        check_upload(path, limits)
    message = str(caught.value)
    assert str(path.parent) not in message
    assert "\n" not in message
    return message


def copied(clip: Path, path: Path) -> Path:
    path.write_bytes(clip.read_bytes())
    return path


# --- what is taken ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v", ".webm", ".mkv", ".MP4"])
def test_videos_of_all_endings_are_taken(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"own{suffix}"
    codec = {"codec_name": "libvpx" if suffix == ".webm" else "libx264", "rate": 5}
    with av.open(
        str(path), "w", format={".webm": "webm", ".mkv": "matroska", ".mov": "mov"}.get(suffix, "mp4")
    ) as container:
        stream: Any = container.add_stream(**codec)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    taken = check_upload(path, LIMITS)
    assert (taken.path, taken.name, taken.size, taken.has_sound) == (path, path.name, (64, 48), False)
    assert taken.duration == pytest.approx(2.0, abs=0.2)


def test_sound_is_noticed(clip: Path) -> None:
    assert check_upload(clip, LIMITS) == UploadedVideo(clip, "clip.mp4", (64, 56), pytest.approx(2.0), True)


def test_a_recording_whose_header_says_no_length_is_taken(tmp_path: Path) -> None:
    """As browsers record: a stream that was never gone back into."""
    path = tmp_path / "recorded.webm"
    with av.open(str(path), "w", format="webm", options={"live": "1"}) as container:
        stream: Any = container.add_stream("libvpx", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(15):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert not container.duration
    assert check_upload(path, LIMITS).duration == pytest.approx(3.0, abs=0.3)
    assert "lasts" in refused(path, Limits(1, 1, 320))


def test_a_turned_video_has_the_size_that_people_see(tmp_path: Path) -> None:
    path = write_numbered(tmp_path / "turned.mp4", range(3), rotation=(90, False))
    assert check_upload(path, LIMITS).size == (180, 320)


# --- what is not ------------------------------------------------------------------------------------------------------


def test_what_is_no_video_is_refused_before_ffmpeg_sees_it(tmp_path: Path, clip: Path) -> None:
    secret = copied(clip, tmp_path / "secret.mp4")
    contents: dict[str, tuple[bytes, str]] = {
        "zero.mp4": (b"", "is empty"),
        "one.mp4": (b"\0", "By its content"),
        "random.mp4": (np.random.default_rng(0).bytes(5000), "By its content"),
        "text.mp4": (b"this is a text\n" * 20, "By its content"),
        "page.webm": (b"<html><script>alert(1)</script></html>", "By its content"),
        "playlist.mp4": (PLAYLIST.format(secret).encode(), "By its content"),
        "script.mp4": (f"ffconcat version 1.0\nfile '{secret}'\n".encode(), "By its content"),
        "avi.mp4": (b"RIFF\0\0\0\0AVI LIST", "By its content"),
    }
    for name, (content, said) in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert said in refused(path), name


@pytest.mark.parametrize("start", [b"\0\0\0\x20ftypisom", b"\x1a\x45\xdf\xa3"])
def test_a_playlist_behind_the_first_bytes_of_a_video_opens_nothing(tmp_path: Path, clip: Path, start: bytes) -> None:
    path = tmp_path / "both.mp4"
    path.write_bytes(start + b"\n" + PLAYLIST.format(clip).encode())
    assert "cannot be used" in refused(path)


@pytest.mark.parametrize("name", ["clip.avi", "clip.m3u8", "clip", "clip.mp4.exe", "clip.ts", ".mp4"])
def test_other_endings_are_refused(tmp_path: Path, clip: Path, name: str) -> None:
    assert "this ending" in refused(copied(clip, tmp_path / name))


def test_sound_alone_is_refused(tmp_path: Path) -> None:
    assert "there is no picture" in refused(write_sound(tmp_path / "sound.mp4", 2))


def test_what_is_too_long_too_wide_or_too_large_is_refused(tmp_path: Path, clip: Path) -> None:
    assert "lasts 600.0 s" in refused(write_video(tmp_path / "long.mp4", 64, 48, 600))
    assert "3840 x 2160" in refused(write_video(tmp_path / "wide.mp4", 3840, 2160, 1))
    assert "2160 x 3840" in refused(write_video(tmp_path / "high.mp4", 2160, 3840, 1))
    large = copied(clip, tmp_path / "large.mp4")
    with large.open("ab") as file:
        file.write(b"\0" * 1_000_000)
    assert "has 1.0 MB" in refused(large)
    for path in (tmp_path / "long.mp4", tmp_path / "wide.mp4"):
        assert "up to 20 s, 1 MB and 320 pixels" in refused(path)


def test_a_cut_off_file_is_refused(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    assert "cannot be used" in refused(path)
    mkv = tmp_path / "whole.mkv"
    with av.open(str(write_video(tmp_path / "long.mp4", 64, 48, 15))) as source, av.open(str(mkv), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(mkv.read_bytes()[: mkv.stat().st_size // 2])
    assert "cannot be used" in refused(cut)


def hours_in_mp4(path: Path, clip: Path) -> None:
    """Two frames, the second one hours after the first."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for time_shown in (0, 36_000):
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            picture.pts = time_shown
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def hours_in_matroska(path: Path, clip: Path) -> None:
    """A short film whose header says more: Matroska's element Duration, in milliseconds."""
    with av.open(str(clip)) as source, av.open(str(path), "w", format="matroska") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    content = bytearray(path.read_bytes())
    place = content.index(b"\x44\x89\x88") + 3
    content[place : place + 8] = struct.pack(">d", 36_000_000)
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("write", [hours_in_mp4, hours_in_matroska])
def test_a_header_that_says_hours_is_refused_without_reading_them(
    tmp_path: Path, clip: Path, write: Callable[[Path, Path], None]
) -> None:
    path = tmp_path / "hours.mp4"
    write(path, clip)
    begun = time.monotonic()
    assert "lasts 36,00" in refused(path)
    assert time.monotonic() - begun < 1


def test_far_too_many_frames_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fast.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=1000)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        for _ in range(1000):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    assert "more than 480 frames" in refused(path, Limits(2, 1, 320))


def write_sound_at(path: Path, moments: range | list[int]) -> Path:
    """A second of pictures with a byte of sound at each of these milliseconds, and a header that says a second."""
    with av.open(str(path), "w", format="matroska") as container:
        stream: Any = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream("pcm_u8", rate=48000, layout="mono")
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
        for moment in moments:
            packet = av.Packet(b"\x90")
            packet.stream, packet.time_base, packet.pts, packet.dts = sound, Fraction(1, 1000), moment, moment
            container.mux(packet)
    content = bytearray(path.read_bytes())
    place = content.index(b"\x44\x89\x88") + 3
    content[place : place + 8] = struct.pack(">d", 1000.0)
    path.write_bytes(bytes(content))
    return path


def test_sound_in_far_too_many_pieces_is_refused(tmp_path: Path) -> None:
    assert check_upload(write_sound_at(tmp_path / "few.mkv", range(0, 1000, 10)), Limits(2, 1, 320)).has_sound
    assert "more than 1,000 pieces" in refused(write_sound_at(tmp_path / "many.mkv", [1] * 1100), Limits(2, 1, 320))


def test_sound_days_behind_the_picture_is_refused(tmp_path: Path) -> None:
    assert "lasts 1,000,000.0 s" in refused(write_sound_at(tmp_path / "far.mkv", [1_000_000_000]))


def test_names_are_names_and_nothing_else(tmp_path: Path, clip: Path) -> None:
    names = [
        "$(touch pwned).mp4",
        "<img src=x onerror=alert(1)>.mp4",
        "-i.mp4",
        "concat:a|b.mp4",
        "..mp4.mp4",
        "名前 ‮4pm.mp4",
    ]
    for name in names:
        assert check_upload(copied(clip, tmp_path / name), LIMITS).name == name
    long = check_upload(copied(clip, tmp_path / f"{'a' * 200}.mp4"), LIMITS)
    assert len(long.name) == NAME_SHOWN
    assert not Path("pwned").exists()


# --- what is kept -----------------------------------------------------------------------------------------------------


def received(clip: Path, folder: Path, name: str = "clip.mp4") -> Path:
    """As Gradio keeps an upload: in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return copied(clip, folder / name)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_session_has_one_video_and_nothing_stays_of_what_it_had(tmp_path: Path, clip: Path) -> None:
    uploads = Uploads(tmp_path / "kept", LIMITS)
    first = uploads.take("a", received(clip, tmp_path / "in" / "1"))
    second = uploads.take("a", received(clip, tmp_path / "in" / "2", "<b>.mp4"))
    assert (uploads.of_session("a"), uploads.of_token(second.token), uploads.of_token(first.token)) == (second, second, None)
    assert second.video.name == "<b>.mp4"
    assert second.video.path.name == "video.mp4"
    assert files(tmp_path / "kept") == [second.video.path]
    assert files(tmp_path / "in") == [second.received]
    uploads.drop(first)
    assert uploads.of_session("a") == second, "what is gone already takes nothing with it"
    uploads.drop(second)
    uploads.drop(second)
    assert files(tmp_path) == []
    assert list((tmp_path / "in").iterdir()) == []


def until_gone(folder: Path) -> None:
    end = time.monotonic() + 5
    while files(folder) and time.monotonic() < end:
        time.sleep(0.05)
    assert files(folder) == []


def test_what_is_not_taken_goes_soon_and_what_was_there_before_at_once(tmp_path: Path, clip: Path) -> None:
    uploads = Uploads(tmp_path / "kept", LIMITS, room=Room(refused=0.5))
    uploads.take("a", received(clip, tmp_path / "in" / "1"))
    for name in ("bad.mp4", "bad.txt"):
        bad = tmp_path / "in" / "2" / name
        bad.parent.mkdir(exist_ok=True)
        bad.write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 500)
        with pytest.raises(UploadError):
            uploads.take("a", bad)
        assert files(tmp_path) == [bad], "the browser that sent it may be reading it"
        assert uploads.of_session("a") is None
        until_gone(tmp_path)
    assert list((tmp_path / "in" / "1").parent.iterdir()) == []


def test_what_was_refused_for_want_of_room_is_taken_when_it_comes_again(tmp_path: Path, clip: Path) -> None:
    uploads = Uploads(tmp_path / "kept", LIMITS, room=Room(videos=1, refused=0.3))
    first, again = uploads.take("a", received(clip, tmp_path / "in" / "1")), received(clip, tmp_path / "in" / "2")
    with pytest.raises(UploadError, match="too many visitors"):
        uploads.take("b", again)
    uploads.drop(first)
    kept = uploads.take("b", again)
    time.sleep(0.6)
    assert sorted(files(tmp_path)) == sorted([kept.video.path, again])


def test_the_same_upload_of_two_sessions_goes_with_the_last_of_them(tmp_path: Path, clip: Path) -> None:
    uploads = Uploads(tmp_path / "kept", LIMITS)
    same = received(clip, tmp_path / "in")
    first, second = uploads.take("a", same), uploads.take("b", same)
    assert first.token != second.token
    uploads.drop(first)
    assert same.exists()
    assert files(tmp_path / "kept") == [second.video.path]
    assert second.video.path.read_bytes() == clip.read_bytes()
    uploads.drop(second)
    assert files(tmp_path) == []


def test_the_same_upload_again_takes_the_place_of_itself(tmp_path: Path, clip: Path) -> None:
    uploads = Uploads(tmp_path / "kept", LIMITS)
    same = received(clip, tmp_path / "in")
    first = uploads.take("a", same)
    second = uploads.take("a", same)
    assert uploads.of_session("a") == second
    assert sorted(files(tmp_path)) == sorted([same, second.video.path])
    assert first.token != second.token
    uploads.drop(second)
    assert files(tmp_path) == []


def test_an_upload_that_is_being_checked_does_not_go_with_an_equal_one(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = Uploads(tmp_path / "kept", LIMITS)
    same = received(clip, tmp_path / "in")
    first = uploads.take("a", same)

    def meanwhile(path: Path, limits: Limits) -> UploadedVideo:
        uploads.drop(first)
        return check_upload(path, limits)

    monkeypatch.setattr("r_avst.space.uploads.check_upload", meanwhile)
    second = uploads.take("b", same)
    assert sorted(files(tmp_path)) == sorted([same, second.video.path])


def test_a_video_goes_after_its_time(tmp_path: Path, clip: Path) -> None:
    uploads = Uploads(tmp_path / "kept", LIMITS, room=Room(seconds=0.3))
    uploads.take("a", received(clip, tmp_path / "in"))
    assert len(files(tmp_path)) == 2
    until_gone(tmp_path)
    assert uploads.of_session("a") is None


def test_a_file_that_is_gone_already_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(UploadError, match="upload it again"):
        Uploads(tmp_path / "kept", LIMITS).take("a", tmp_path / "gone.mp4")
    assert files(tmp_path) == []


def test_videos_of_many_names_cost_one_thread_and_there_is_an_end_of_them(tmp_path: Path, clip: Path) -> None:
    uploads = Uploads(tmp_path / "kept", LIMITS, room=Room(videos=5))
    same, before = received(clip, tmp_path / "in"), threading.active_count()
    first, *_ = [uploads.take(f"{number}", same) for number in range(5)]
    assert threading.active_count() <= before + 1
    with pytest.raises(UploadError, match=r"too many visitors.*again in some minutes"):
        uploads.take("another", same)
    assert len(files(tmp_path / "kept")) == 5
    uploads.take("4", same)
    uploads.drop(first)
    uploads.take("another", same)


def test_there_is_an_end_of_what_is_kept_in_bytes(tmp_path: Path, clip: Path) -> None:
    uploads = Uploads(tmp_path / "kept", LIMITS, room=Room(megabytes=1))
    filled = received(clip, tmp_path / "in" / "1")
    with filled.open("ab") as file:
        file.write(struct.pack(">I4s", 600_000, b"free") + b"\0" * 599_992)
    uploads.take("a", filled)
    other = copied(filled, received(clip, tmp_path / "in" / "2"))
    with pytest.raises(UploadError, match="too many visitors"):
        uploads.take("b", other)
    assert len([path for path in files(tmp_path) if path != other]) == 2


def test_who_uploads_twice_at_once_has_one_video(tmp_path: Path, clip: Path) -> None:
    uploads = Uploads(tmp_path / "kept", LIMITS)
    sent = [received(clip, tmp_path / "in" / str(number)) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: uploads.take("a", path), sent))
    kept = uploads.of_session("a")
    assert kept is not None
    assert sorted(files(tmp_path)) == sorted([kept.video.path, kept.received])


def test_who_keeps_more_of_a_video_is_told_when_it_is_gone(tmp_path: Path, clip: Path) -> None:
    told: list[tuple[Kept, bool]] = []
    uploads = Uploads(tmp_path / "kept", LIMITS, lambda kept: told.append((kept, kept.video.path.exists())))
    first = uploads.take("a", received(clip, tmp_path / "in" / "1"))
    second = uploads.take("a", received(clip, tmp_path / "in" / "2"))
    assert told == [(first, False)]
    uploads.drop(second)
    uploads.drop(second)
    assert told == [(first, False), (second, False)]
