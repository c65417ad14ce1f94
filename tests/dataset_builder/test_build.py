"""The command line of the builder: what it writes, what it refuses, and what it says."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from written_videos import write_sound
from written_videos import write_video

from r_avst.dataset_builder.build import main
from r_avst.dataset_builder.dataset_folder import REPORT

UNAV = {"database": {"tiny_dog": {"annotations": [{"segment": [1.38, 6.04], "label": "dog barking", "label_id": 12}]}}}
SMALL_FILES_ONLY = """
import resource, sys
from r_avst.dataset_builder.build import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sys.exit(main(sys.argv[1:]))
"""
WITHOUT_PYAV = """
import sys
sys.modules["av"] = None
from r_avst.dataset_builder.build import main
sys.exit(main(sys.argv[1:]))
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def build(annotations: Path | str, out: Path, *more: str | Path) -> int:
    return main(["release", "--annotations", str(annotations), "--out", str(out), *map(str, more)])


def report(out: Path) -> dict[str, Any]:
    own: dict[str, Any] = json.loads((out / REPORT).read_text(encoding="utf-8"))
    return own


@pytest.fixture
def unav(tmp_path: Path) -> Path:
    path = tmp_path / "unav.json"
    path.write_text(json.dumps(UNAV), encoding="utf-8")
    return path


# --- what is written --------------------------------------------------------------------------------------------------


def test_a_build_writes_the_data_set_its_card_and_its_report(
    tiny_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new/r-avst"
    assert build(tiny_release, out) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", REPORT, "events", "spatial", "spatio_temporal", "temporal",
    ]  # fmt: skip
    assert [path.name for path in out.parent.iterdir()] == ["r-avst"]
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == (
        f"{out}: 2 videos, 3 events, 5 questions (2 temporal, 2 spatial, 1 spatio-temporal), "
        "10 box rows of which 1 are not visible"
    )
    assert "       1 invisible_rows: rows of four zeros" in printed
    assert not any("asked_twice" in line for line in printed)
    assert printed[-1] == f"All of it, with places and handling: {out / REPORT}"


def test_the_report_bears_counts_rows_and_oddities(tiny_release: Path, tmp_path: Path) -> None:
    build(tiny_release, tmp_path / "r-avst")
    own = report(tmp_path / "r-avst")
    assert own["source"]["annotations"] == tiny_release.name
    assert own["counts"] == {
        "videos": 2,
        "events": 3,
        "objects": 5,
        "questions": 5,
        "temporal": 2,
        "spatial": 2,
        "spatio_temporal": 1,
        "box_rows": 10,
        "invisible_box_rows": 1,
    }
    assert own["rows"] == {
        "temporal": {"test": 2},
        "spatial": {"test": 2},
        "spatio_temporal": {"test": 1},
        "events": {"test": 3},
    }
    assert own["oddities"]["span_ends_after_video"] == {
        "count": 1,
        "unit": "questions",
        "handling": "kept as released",
        "where": ["tiny_dog-1-spatio_temporal-0"],
    }
    assert own["videos"] is None


def test_labels_and_videos_are_joined(
    tiny_release: Path, unav: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    write_video(videos / "tiny_dog.mp4", 64, 48, 3)
    out = tmp_path / "r-avst"
    assert build(tiny_release, out, "--unav", unav, "--videos", videos) == 0
    own = report(out)
    assert own["oddities"]["no_event_label"]["where"] == ["tiny_dog-1", "tiny_car-0"]
    outside = "boxes reach x 250, y 90; the file's frames are 64 x 48"
    assert own["videos"] == {
        "joined": 1,
        "missing": ["tiny_car"],
        "unreadable": {},
        "boxes_outside": {"tiny_dog": outside},
        "other_duration": {"tiny_dog": "annotations 10.00 s, file 3.00 s"},
    }
    printed = capsys.readouterr().out
    assert "  videos: 1 joined, 1 missing\n" in printed
    assert f"    boxes_outside tiny_dog: {outside}\n" in printed


def test_a_video_that_cannot_be_read_does_not_stop_the_build(
    tiny_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    write_sound(videos / "tiny_dog.mp4", 1)
    write_video(videos / "tiny_car.mp4", 640, 360, 45)
    assert build(tiny_release, tmp_path / "r-avst", "--videos", videos) == 0
    assert f"    unreadable tiny_dog: {videos / 'tiny_dog.mp4'}: there is no picture in it\n" in capsys.readouterr().out
    own = report(tmp_path / "r-avst")
    assert (own["videos"]["joined"], own["oddities"]["no_frame_size"]["where"]) == (1, ["tiny_dog"])


def test_two_builds_of_one_file_write_the_same_bytes(tiny_release: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert build(tiny_release, tmp_path / name) == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [
        ("--annotations", None, "there is no such file"),
        ("--annotations", b"", "no JSON .*is it the file Annotations/xml_test_QA.json"),
        ("--annotations", b'[{"video_name": "v"}]', r"entry 0 \(video v\): the key 'duration' is missing"),
        ("--annotations", b"[]", "video"),
        ("--unav", None, "there is no such file"),
        ("--unav", b"", "no JSON .*is it unav100_annotations.json"),
        ("--unav", b"{}", "not in UnAV-100's form"),
        ("--videos", None, "there is no such folder; --videos takes a folder of files named VIDEO_ID.mp4"),
        ("--videos", b"", "there is no such folder"),
    ],
)
def test_a_bad_input_is_named_and_nothing_is_written(
    tiny_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, content: bytes | None, message: str
) -> None:
    bad = tmp_path / "bad"
    if content is not None:
        bad.write_bytes(content)
    assert build(tiny_release, tmp_path / "r-avst", option, bad) == 2
    assert re.search(f"^r-avst-build: {re.escape(str(bad))}: .*{message}", capsys.readouterr().err, re.MULTILINE)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        {tiny_release.name, *(["bad"] if content is not None else [])}
    )


@pytest.mark.parametrize("arguments", [[], ["elsewhere"], ["release", "--nonsense"]])
def test_unknown_arguments_end_with_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: r-avst-build")


def test_a_foreign_folder_is_refused_and_left_as_it_was(
    tiny_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "thesis"
    (out / "chapters").mkdir(parents=True)
    (out / "chapters/one.txt").write_text("years of work", encoding="utf-8")
    assert build(tiny_release, out) == 2
    assert f"r-avst-build: {out} is there and is no data set of r-avst-build" in (said := capsys.readouterr().err)
    assert "give another --out or remove it" in said
    assert contents(out) == {"chapters/one.txt": b"years of work"}


def test_what_a_user_put_beside_an_earlier_build_is_not_lost(
    earlier: Path, tiny_release: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (earlier / "NOTES.md").write_text("mine", encoding="utf-8")
    before = contents(earlier)
    assert build(tiny_release, earlier) == 2
    assert "holds NOTES.md beside an earlier data set" in capsys.readouterr().err
    assert contents(earlier) == before


def test_a_file_at_the_place_of_the_folder_is_refused_and_left_as_it_was(
    tiny_release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tiny_release.read_bytes()
    assert build(tiny_release, tiny_release) == 2
    assert "give another --out or remove it" in capsys.readouterr().err
    assert tiny_release.read_bytes() == before


def test_a_folder_below_a_file_is_refused(tiny_release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(tiny_release, tiny_release / "r-avst") == 2
    assert str(tiny_release) in capsys.readouterr().err


def test_an_empty_folder_is_used(tiny_release: Path, tmp_path: Path) -> None:
    (tmp_path / "r-avst").mkdir()
    assert build(tiny_release, tmp_path / "r-avst") == 0
    assert report(tmp_path / "r-avst")["counts"]["questions"] == 5


# --- in place of an earlier build -------------------------------------------------------------------------------------


@pytest.fixture
def earlier(tiny_release: Path, tmp_path: Path) -> Path:
    """A data set built before, alone in its folder."""
    out = tmp_path / "builds/r-avst"
    assert build(tiny_release, out) == 0
    return out


def test_an_earlier_build_is_replaced_as_a_whole(earlier: Path, tiny_release: Path, unav: Path) -> None:
    before = contents(earlier)
    assert build(tiny_release, earlier, "--unav", unav) == 0
    after = contents(earlier)
    assert report(earlier)["oddities"]["no_event_label"]["count"] == 2
    assert len(after) == len(before) == 6
    assert [path.name for path in earlier.parent.iterdir()] == ["r-avst"]


def test_a_build_that_fails_at_its_input_leaves_the_earlier_one(earlier: Path, tiny_release: Path) -> None:
    before = contents(earlier)
    tiny_release.write_text("[", encoding="utf-8")
    assert build(tiny_release, earlier) == 2
    assert contents(earlier) == before


def test_a_build_that_fails_while_it_writes_leaves_the_earlier_one(earlier: Path, tiny_release: Path) -> None:
    before = contents(earlier)
    ran = ran_in_process_of_its_own(SMALL_FILES_ONLY, "release", "--annotations", str(tiny_release), "--out", str(earlier))
    assert ran.returncode != 0
    assert "File too large" in ran.stderr
    assert contents(earlier) == before
    assert [path.name for path in earlier.parent.iterdir()] == ["r-avst"]


# --- without network, without PyAV ------------------------------------------------------------------------------------


def ran_in_process_of_its_own(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_annotations_behind_a_url_are_refused_offline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = "http://127.0.0.1:9/xml_test_QA.json"
    assert build(url, tmp_path / "r-avst") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"r-avst-build: {url} cannot be downloaded")
    assert "r-avst-build release --annotations FILE" in said
    assert list(tmp_path.iterdir()) == []


def test_joining_videos_without_pyav_names_the_extra_to_install(tiny_release: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    write_video(videos / "tiny_dog.mp4", 320, 240, 10)
    arguments = ["release", "--annotations", str(tiny_release), "--out", str(tmp_path / "r-avst"), "--videos", str(videos)]
    ran = ran_in_process_of_its_own(WITHOUT_PYAV, *arguments)
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 2
    assert "pip install av" in ran.stderr


# --- annotations behind a URL -----------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Serves one file at /release.json, a page at /page, half a file at /cut, and no other; remembers what was asked."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.wfile.write(self.answer())

    def answer(self) -> bytes:
        self.server.asked.append(f"{self.command} {self.path}")
        content = self.server.content
        bodies = {"/release.json": content, "/page": b"<html>Please log in</html>", "/cut": content[: len(content) // 2]}
        body = bodies.get(self.path, b"")
        self.send_response(200 if self.path in bodies else 404)
        self.send_header("Content-Length", str(len(content) if self.path == "/cut" else len(body)))
        self.end_headers()
        return body

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(tiny_release: Path) -> Iterator[Server]:
    with Server(tiny_release.read_bytes()) as own:
        thread = threading.Thread(target=own.serve_forever)
        thread.start()
        yield own
        own.shutdown()
        thread.join()


def build_from(url: str, home: Path, out: Path) -> subprocess.CompletedProcess[str]:
    script = "import sys; from r_avst.dataset_builder.build import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["release", "--annotations", url, "--out", str(out)]
    return ran_in_process_of_its_own(script, *arguments, HF_HOME=str(home), HF_HUB_OFFLINE="0")


def test_annotations_behind_a_url_are_downloaded_once(server: Server, tiny_release: Path, tmp_path: Path) -> None:
    url = server.url("/release.json")
    for name in ("first", "second"):
        ran = build_from(url, tmp_path / "home", tmp_path / name)
        assert ran.returncode == 0, ran.stderr
    assert server.asked.count("GET /release.json") == 1
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    assert build(tiny_release, tmp_path / "local") == 0
    local, own = report(tmp_path / "local"), report(tmp_path / "first")
    assert own["source"] == {"annotations": url, "sha256": local["source"]["sha256"]}
    assert own["counts"] == local["counts"]


@pytest.mark.parametrize(("path", "reason"), [("/absent.json", "404"), ("/cut", "")])
def test_a_download_that_fails_is_named(server: Server, tmp_path: Path, path: str, reason: str) -> None:
    ran = build_from(server.url(path), tmp_path / "home", tmp_path / "r-avst")
    assert "Traceback" not in ran.stderr
    assert ran.returncode == 2
    (said,) = [line for line in ran.stderr.splitlines() if line.startswith("r-avst-build: ")]
    assert said.startswith(f"r-avst-build: {server.url(path)} cannot be downloaded")
    assert reason in said
    assert said.endswith("r-avst-build release --annotations FILE")
    assert server.asked
    assert not (tmp_path / "r-avst").exists()


def test_a_server_that_refuses_the_connection_is_named(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/release.json"
    ran = build_from(url, tmp_path / "home", tmp_path / "r-avst")
    assert ran.returncode == 2
    assert f"r-avst-build: {url} cannot be downloaded" in ran.stderr
    assert "r-avst-build release --annotations FILE" in ran.stderr
    assert not (tmp_path / "r-avst").exists()


def test_a_page_in_place_of_the_file_is_named_by_its_url(server: Server, tmp_path: Path) -> None:
    ran = build_from(server.url("/page"), tmp_path / "home", tmp_path / "r-avst")
    assert ran.returncode == 2
    assert "no JSON" in ran.stderr
    assert server.url("/page") in ran.stderr


def test_the_working_folder_itself_can_be_the_place(
    tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert build(tiny_release, Path()) == 0
    assert report(tmp_path / "here")["counts"]["questions"] == 5
