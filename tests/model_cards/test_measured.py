"""Figures come from their files as they stand there, or not at all."""

import re
from pathlib import Path
from typing import Any

import pytest

from r_avst.model_cards.measured import CardError
from r_avst.model_cards.measured import Measured
from r_avst.model_cards.measured import read_measured

FILE = Measured("report.json", {"counts": {"videos": 1070}, "R1@0.3": {"value": 0.47961}, "floor": None, "rows": [1]})


@pytest.mark.parametrize(
    ("form", "key", "text"),
    [
        ("count", ("counts", "videos"), "1,070"),
        ("share", ("R1@0.3", "value"), "47.96"),
        ("skill", ("R1@0.3", "value"), "47.96"),
        ("number", ("R1@0.3", "value"), "0.48"),
        ("share", ("floor",), "none"),
        ("count", ("counts", "events"), "not measured"),
        ("count", ("counts", "videos", "test"), "not measured"),
        ("share", ("R1@0.3", "low"), "not measured"),
        ("count", ("rows", "0"), "not measured"),
    ],
)
def test_a_figure_is_what_stands_under_its_key(form: str, key: tuple[str, ...], text: str) -> None:
    assert FILE.figure(form, *key) == text


@pytest.mark.parametrize(
    ("form", "found", "text"),
    [
        ("count", 0, "0"),
        ("count", 1.0, None),
        ("count", True, None),
        ("count", -1, None),
        ("count", 10**15, None),
        ("count", "12", None),
        ("count", [1], None),
        ("share", 1, "100.00"),
        ("share", 1 + 1e-12, "100.00"),
        ("share", -1e-18, "0.00"),
        ("share", 1.01, None),
        ("share", 47.96, None),
        ("share", -0.2, None),
        ("share", float("nan"), None),
        ("share", False, None),
        ("share", "<b>1</b>", None),
        ("skill", -1.14, "-114.00"),
        ("skill", 1.2, None),
        ("skill", float("-inf"), None),
        ("number", 220833.0, "220,833.00"),
        ("number", float("inf"), None),
        ("number", {}, None),
        ("figure", 1e-6, "1e-06"),
        ("figure", 0.34567, "0.3457"),
        ("figure", -999.96, "-1000"),
        ("figure", 123456.7, "123,457"),
        ("figure", 3, "3"),
        ("figure", float("nan"), None),
        ("figure", True, None),
    ],
)
def test_a_number_has_to_be_of_its_form(form: str, found: Any, text: str | None) -> None:
    file = Measured("scores.json", {"a": {"b": found}})
    if text is None:
        with pytest.raises(CardError, match=r"^scores\.json: a\.b is .*, not .*; write the file anew$"):
            file.figure(form, "a", "b")
    else:
        assert file.figure(form, "a", "b") == text


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b'{"value": NaN}', "NaN is no number"),
        (b'{"value": -Infinity}', "-Infinity is no number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[1, 2]", r"holds \[1, 2\], no JSON object"),
        (b"null", "holds None, no JSON object"),
    ],
)
def test_a_file_that_is_no_json_object_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "scores.json"
    path.write_bytes(content)
    with pytest.raises(CardError, match=f"^{re.escape(str(path))} .*{said}"):
        read_measured(path)


def test_a_number_too_large_for_a_float_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text('{"value": 1e999}')
    with pytest.raises(CardError, match=r"value is inf, not a number in 0\.\.1"):
        read_measured(path).figure("share", "value")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"absent\.json cannot be read \(No such file or directory\)"):
        read_measured(tmp_path / "absent.json")


def test_names_are_those_of_a_mapping() -> None:
    assert FILE.names("counts") == ["videos"]
    assert FILE.names("absent") == FILE.names("floor") == []
    with pytest.raises(CardError, match=r"report\.json: rows is \[1\], no mapping"):
        FILE.names("rows")
