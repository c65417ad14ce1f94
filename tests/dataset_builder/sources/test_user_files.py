"""What a user wrote is checked, and what is wrong is named with its line."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r_avst.dataset_builder.sources.user_files import LineError
from r_avst.dataset_builder.sources.user_files import checked_id
from r_avst.dataset_builder.sources.user_files import read_objects
from r_avst.dataset_builder.sources.user_files import span_of
from r_avst.dataset_builder.sources.user_files import text_of


def written(folder: Path, content: bytes) -> Path:
    path = folder / "lines.jsonl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", []),
        (b'{"a": 1}\n{"b": 2}\n', [(1, {"a": 1}), (2, {"b": 2})]),
        (b'\n\n{"a": 1}\r\n  \r\n{"b": 2}', [(3, {"a": 1}), (5, {"b": 2})]),
        (b'\xef\xbb\xbf{"a": "caf\xc3\xa9"}', [(1, {"a": "café"})]),
        ('{"a": "one\u2028line"}\n{"b": 2}'.encode(), [(1, {"a": "one\u2028line"}), (2, {"b": 2})]),
    ],
    ids=["empty", "plain", "blank lines", "mark", "separator"],
)
def test_lines_are_read_with_their_numbers(tmp_path: Path, content: bytes, found: list[Any]) -> None:
    assert list(read_objects(written(tmp_path, content))) == found


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{", "no JSON"),
        (b"dog.mp4 1.4 6.0", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "no JSON"),
        (b"[1]", "an object is expected, but it is a list"),
        (b"null", "an object is expected, but it is a NoneType"),
    ],
    ids=["cut", "text", "deep", "long number", "list", "null"],
)
def test_a_line_that_is_no_object_is_named(tmp_path: Path, line: bytes, problem: str) -> None:
    path = written(tmp_path, b'{"a": 1}\n\n' + line + b"\n")
    with pytest.raises(LineError, match=f"^{re.escape(str(path))}, line 3: {problem}"):
        list(read_objects(path))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.jsonl", written(tmp_path, b"\xff\xfe\x80")):
        with pytest.raises(LineError, match=f"^{re.escape(str(path))}: it cannot be read"):
            list(read_objects(path))


def test_a_text_loses_the_space_around_it() -> None:
    assert text_of({"caption": " A dog barks.\n"}, "caption") == "A dog barks."


@pytest.mark.parametrize("found", [None, "", " \n", 7, ["a"], "half \ud800"])
def test_what_is_no_text_is_refused(found: Any) -> None:
    with pytest.raises(ValueError, match="'caption'"):
        text_of({"caption": found}, "caption")


def test_a_span_becomes_two_floats() -> None:
    assert span_of({"span": [0, 4.5]}) == (0.0, 4.5)


@pytest.mark.parametrize(
    "found",
    [
        None,
        "1-2",
        [],
        [1],
        [1, 2, 3],
        ["1", "2"],
        [True, 2],
        [2, 1],
        [1, 1],
        [-1, 2],
        [0, 1e9],
        [0, 10**400],
        [0, float("nan")],
        [float("nan"), 1],
        [0, float("inf")],
    ],
)
def test_what_is_no_span_is_refused(found: Any) -> None:
    with pytest.raises(ValueError, match="'span'"):
        span_of({"span": found})


@pytest.mark.parametrize("video_id", ["72f67ednp7w", "-_a", "my holiday (1)", "día 犬", "a.b", "v" * 150])
def test_an_id_that_can_name_a_file_is_kept(video_id: str) -> None:
    assert checked_id(video_id) == video_id


@pytest.mark.parametrize(
    "video_id",
    [
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "a\\b",
        "../a",
        "a\nb",
        "a\0b",
        "a:b",
        'a"b',
        "a*",
        " a",
        "a ",
        "a.",
        "v" * 151,
        "犬" * 51,
        "a\ud800",
    ],
)
def test_an_id_that_cannot_name_a_file_everywhere_is_refused(video_id: str) -> None:
    with pytest.raises(ValueError, match="rename the video"):
        checked_id(video_id)


@given(st.text(max_size=20))
def test_an_id_that_passes_names_one_file_in_its_folder(video_id: str) -> None:
    try:
        name = checked_id(video_id)
    except ValueError:
        return
    assert Path(f"/work/{name}.jsonl").parent == Path("/work")
    assert Path(f"/work/{name}.jsonl").stem == name
