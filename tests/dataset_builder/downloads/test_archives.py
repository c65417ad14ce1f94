"""Videos inside archives: found by id, read whole, and never written where the archive says."""

import io
import random
import tarfile
import zipfile
from pathlib import Path
from typing import BinaryIO

import pytest

from r_avst.dataset_builder.downloads import archives
from r_avst.dataset_builder.downloads.archives import ArchiveError
from r_avst.dataset_builder.downloads.archives import JoinedFiles
from r_avst.dataset_builder.downloads.archives import archives_of
from r_avst.dataset_builder.downloads.archives import copy_member
from r_avst.dataset_builder.downloads.archives import members_of

CONTENT = {"videos/b.mp4": b"B" * 3000, "videos/-a_1.MKV": b"A" * 10, "videos/readme.txt": b"no video"}


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files: dict[str, bytes], mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def cut(content: bytes, size: int) -> list[BinaryIO]:
    return [io.BytesIO(content[start : start + size]) for start in range(0, len(content), size)]


def unpacked(name: str, files: list[BinaryIO], folder: Path) -> dict[str, bytes]:
    found = {}
    for video_id, member in members_of(name, files).items():
        copy_member(member, folder / "copy")
        found[video_id + member.suffix] = (folder / "copy").read_bytes()
    return found


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.zip", zipped(CONTENT)),
        ("v.ZIP", zipped(CONTENT, zipfile.ZIP_DEFLATED)),
        ("v.tar", tarred(CONTENT, "w")),
        ("v.tar.gz", tarred(CONTENT, "w:gz")),
        ("v.tgz", tarred(CONTENT, "w:gz")),
        ("v.tar.xz", tarred(CONTENT, "w:xz")),
    ],
)
@pytest.mark.parametrize("size", [1 << 20, 97])
def test_the_videos_of_an_archive_come_whole(name: str, content: bytes, size: int, tmp_path: Path) -> None:
    found = unpacked(name, cut(content, size), tmp_path)
    assert found == {"b.mp4": b"B" * 3000, "-a_1.mkv": b"A" * 10}
    assert list(found) == ["b.mp4", "-a_1.mkv"]  # the archive's order


def test_parts_are_read_as_one_file() -> None:
    rng = random.Random(0)
    content = rng.randbytes(1000)
    for size in (1, 7, 333, 1000):
        joined = io.BufferedReader(JoinedFiles(cut(content, size)), 64)
        assert joined.read() == content
        for _ in range(50):
            start, length = rng.randrange(1100), rng.randrange(400)
            joined.seek(start)
            assert joined.read(length) == content[start : start + length]
        assert joined.seek(-10, io.SEEK_END) == 990
        assert joined.read() == content[-10:]


@pytest.mark.parametrize("name", ["../../evil.mp4", "/etc/evil.mp4", "..\\evil.mp4", "a/../../evil.mp4"])
def test_a_name_that_leads_elsewhere_leads_nowhere(name: str, tmp_path: Path) -> None:
    for archive, content in (("v.zip", zipped({name: b"x"})), ("v.tar", tarred({name: b"x"}, "w"))):
        (tmp_path / archive).mkdir()
        folder = tmp_path / archive / "in"
        folder.mkdir()
        assert set(unpacked(archive, [io.BytesIO(content)], folder)) <= {"evil.mp4"}
        assert [path.name for path in (tmp_path / archive).rglob("*") if path.is_file()] in ([], ["copy"])


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_what_is_no_plain_file_is_no_video(kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("a.mp4")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    assert members_of("v.tar", [io.BytesIO(out.getvalue())]) == {}


def test_improper_ids_are_passed_over_and_the_first_of_two_counts(tmp_path: Path) -> None:
    files = {"a b.mp4": b"1", "a.b.mp4": b"2", ".mp4": b"3", "x/c.mp4": b"4", "y/c.mp4": b"5", f"{'d' * 65}.mp4": b"6"}
    assert unpacked("v.zip", [io.BytesIO(zipped(files))], tmp_path) == {"c.mp4": b"4"}


@pytest.mark.parametrize("name", ["v.zip", "v.tar", "v.tar.gz"])
@pytest.mark.parametrize(
    "content",
    [b"<html>Not found</html>", b"PK\x03\x04" + b"\x00" * 50, tarred(CONTENT, "w:gz")[:80]],
    ids=["page", "zip", "gzip"],  # the time is in the last one, and processes that share the tests must name them alike
)
def test_what_is_no_archive_is_named(name: str, content: bytes) -> None:
    with pytest.raises(ArchiveError, match=rf"^{name}: it cannot be read as an archive"):
        members_of(name, [io.BytesIO(content)])


def test_a_damaged_video_is_a_failure(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.mp4": b"A" * 3000}))
    content[1000] ^= 255
    with pytest.raises(ArchiveError, match=r"cannot be read from its archive .*CRC"):
        unpacked("v.zip", [io.BytesIO(bytes(content))], tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("v.zip", zipped(CONTENT, zipfile.ZIP_DEFLATED)),
        ("v.tar", tarred(CONTENT, "w")),
        ("v.tar.gz", tarred(CONTENT, "w:gz")),
        ("v.tar.xz", tarred(CONTENT, "w:xz")),
    ],
)
def test_whatever_is_damaged_there_is_one_kind_of_error(name: str, content: bytes, tmp_path: Path) -> None:
    rng = random.Random(0)
    errors = 0
    for _ in range(300):
        damaged = bytearray(content[: rng.randrange(1, len(content))] if rng.random() < 0.3 else content)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            unpacked(name, [io.BytesIO(bytes(damaged))], tmp_path)
        except ArchiveError:
            errors += 1
    assert errors > 30


def test_a_video_behind_a_password_is_a_failure(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.mp4": b"A" * 3000}))
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + offset] |= 1
    with pytest.raises(ArchiveError, match="encrypted"):
        unpacked("v.zip", [io.BytesIO(bytes(content))], tmp_path)


def test_a_video_that_unpacks_without_end_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_BYTES", 5 << 20)
    content = zipped({"a.mp4": b"\x00" * (8 << 20)}, zipfile.ZIP_DEFLATED)
    assert len(content) < 20_000
    with pytest.raises(ArchiveError, match="larger than 5 MiB"):
        unpacked("v.zip", [io.BytesIO(content)], tmp_path)
    assert (tmp_path / "copy").stat().st_size <= 5 << 20


@pytest.mark.parametrize(
    ("paths", "archives"),
    [
        (["a.mp4", "README.md", ".gitattributes"], {}),
        (["v/a.zip", "v/b.tar.gz"], {"v/a.zip": ["v/a.zip"], "v/b.tar.gz": ["v/b.tar.gz"]}),
        (["a.zip.002", "a.zip.001"], {"a.zip": ["a.zip.001", "a.zip.002"]}),
        (["a.tar.gz.part-ab", "a.tar.gz.part-aa"], {"a.tar.gz": ["a.tar.gz.part-aa", "a.tar.gz.part-ab"]}),
        (["a.tar.aa", "a.tar.ab", "b_part1.zip"], {"a.tar": ["a.tar.aa", "a.tar.ab"], "b_part1.zip": ["b_part1.zip"]}),
        (["a.zip.md5", "a.zip.sha256"], {}),
    ],
)
def test_archives_and_their_parts_are_told_apart(paths: list[str], archives: dict[str, list[str]]) -> None:
    assert archives_of(paths) == archives
