"""The command line: what is served, what is refused and how, and what a published Space is started with."""

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from http_answers import get
from review_data import FILM
from review_data import write_review_data
from space_server import served_space
from space_server import write_floors

from r_avst.dataset_builder.page_server import video_url
from r_avst.space import app
from r_avst.space.app import SpaceError
from r_avst.space.app import main
from r_avst.space.app import make_parser
from r_avst.space.app import own_arguments
from r_avst.space.app import video_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space")
    write_review_data(path)
    return path


@pytest.fixture(autouse=True)
def _own_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `main` says of the folder of uploads is forgotten after a test."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    for part in ("r-avst-space --synthetic", "--predictions", "--max-seconds", "Keys:"):
        assert part in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--dataset", "nothing"], "Build it: r-avst-build"),
        (["--dataset", "{r-avst}", "--split", "nope"], "nope"),
        (["--dataset", "{r-avst}", "--predictions", "absent.jsonl"], "absent.jsonl: it cannot be read"),
        (["--dataset", "{r-avst}", "--videos", "no such folder"], "--videos no such folder: there is no such folder"),
        (["--dataset", "{r-avst}", "--model", "no such model"], "--model no such model"),
        (["--dataset", "{r-avst}", "--word-vectors", "none.kv"], "none.kv"),
        (["--dataset", "{r-avst}", "--port", "99999"], "give another --port"),
        (["--dataset", "{r-avst}", "--model", "m", "--backend", "openai"], "OPENAI_API_KEY"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(
    folder: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    given = [argument.replace("{r-avst}", str(folder / "r-avst")) for argument in arguments]
    assert main(given) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_a_port_that_is_taken_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with served_space("--dataset", folder / "r-avst", "--videos", folder / "videos") as space:
        port = space.url.rstrip("/").rsplit(":", 1)[1]
        assert main(["--dataset", str(folder / "r-avst"), "--port", port]) == 2
    assert "give another --port" in capsys.readouterr().err


def test_it_says_what_it_serves_and_leaves_nothing_behind(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    models = write_floors(folder / "r-avst", tmp_path)
    left = {path.name for path in models}
    with served_space("--dataset", folder / "r-avst", "--videos", folder / "videos", "--predictions", *models) as space:
        assert "5 questions, 1 of 2 videos found; gold" in space.said[-2]
        with urllib.request.urlopen(space.url + "config", timeout=10) as answer:
            config: dict[str, Any] = json.load(answer)
        assert config["title"] == "R-AVST: boxes over the playing video"
        assert [path for path in tmp_path.iterdir() if path.name.startswith("r-avst-space-")]
    assert {path.name for path in tmp_path.iterdir()} - left <= {"gradio", "pytest-of-root", "uploads"}


def hub_videos(cache: Path, source: Path) -> None:
    """Videos as `snapshot_download` keeps them: links from a snapshot to blobs."""
    repo = cache / "datasets--user--clips"
    (repo / "blobs").mkdir(parents=True)
    (repo / "snapshots" / "abc").mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc", encoding="utf-8")
    for number, path in enumerate(sorted(source.iterdir())):
        (repo / "blobs" / str(number)).write_bytes(path.read_bytes())
        (repo / "snapshots" / "abc" / path.name).symlink_to(Path("..", "..", "blobs", str(number)))


def test_videos_from_the_hub_are_served_in_ranges(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_videos(tmp_path, folder / "videos")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    film = (folder / "videos" / f"{FILM}.mp4").read_bytes()
    with served_space("--dataset", folder / "r-avst", "--videos", "user/clips") as space:
        assert "1 of 2 videos found" in space.said[-2]
        assert get(space.url + video_url(FILM), Range="bytes=100-199") == (206, film[100:200])
        assert get(space.url + video_url("nothing"))[0] == 404


def test_nothing_beside_the_videos_is_served(folder: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    shutil.copytree(folder / "videos", videos)
    for name in (".env", "notes.txt"):
        (videos / name).write_text("secret", encoding="utf-8")
    with served_space("--dataset", folder / "r-avst", "--videos", videos) as space:
        assert get(space.url + video_url(FILM))[0] == 200
        for path in (videos / ".env", videos / "notes.txt", videos / f"{FILM}.mp4", Path("/etc/hostname")):
            assert get(f"{space.url}gradio_api/file={quote(str(path))}")[0] in (403, 404), path
        for name in ("../notes.txt", "notes.txt", ".env", "%2e%2e%2fnotes.txt"):
            assert get(f"{space.url}videos/{name}")[0] == 404


def test_a_page_without_a_model_takes_no_uploads(folder: Path) -> None:
    with served_space("--dataset", folder / "r-avst", "--videos", folder / "videos") as space:
        body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n\r\nmany bytes\r\n--x--\r\n'
        sent = urllib.request.Request(
            f"{space.url}gradio_api/upload", body, {"Content-Type": "multipart/form-data; boundary=x"}
        )
        with pytest.raises(urllib.error.HTTPError, match="413"):
            urllib.request.urlopen(sent, timeout=10)


# --- a published Space ------------------------------------------------------------------------------------------------


def test_a_published_space_starts_with_what_its_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "SETTINGS", tmp_path / "space.json")
    assert own_arguments([]) == []
    app.SETTINGS.write_text(json.dumps({"arguments": ["--synthetic"]}), encoding="utf-8")
    assert own_arguments([]) == ["--synthetic"]
    assert own_arguments(["--port", "1"]) == ["--port", "1"]
    app.SETTINGS.write_text("[]", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"space\.json"):
        own_arguments([])


def test_a_space_serves_all_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_parser().parse_args([]).host == "127.0.0.1"
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert make_parser().parse_args([]).host == "0.0.0.0"


def test_videos_are_a_folder_or_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert video_folder("videos") is None
    (tmp_path / "videos").mkdir()
    assert video_folder("videos") == Path("videos")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SpaceError, match="neither a folder nor a data set on the Hub"):
        video_folder("nobody/no-videos")
