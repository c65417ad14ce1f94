"""Prediction files: what is read, and what is refused with file, line and remedy."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.coordinates import SPACES_HELP
from r_avst.metrics.avst_metrics.scores import Question
from r_avst.metrics.benchmark import BenchmarkQuestion
from r_avst.metrics.predictions import MISSING
from r_avst.metrics.predictions import PredictionError
from r_avst.metrics.predictions import Predictions
from r_avst.metrics.predictions import read_predictions

TEXT = "<answer>\n<object>dog</object>\n<where>\n1.0: [100.0, 100.0, 200.0, 200.0]\n</where>\n</answer>"
TRUTH = Answer((Track("dog", ((1.0, 64.0, 36.0, 128.0, 72.0),)),))


def question(question_id: str, frame_size: tuple[int, int] | None = None) -> BenchmarkQuestion:
    return BenchmarkQuestion(question_id, Question(TRUTH, "spatial"), TEXT, "where_sounding", (), (0.0, 4.0), frame_size)


QUESTIONS = [question("known"), question("sized", (640, 360)), question("third")]


def row(**changes: Any) -> dict[str, Any]:
    """A good row; a key changed to ``...`` is left out."""
    whole = {"question_id": "known", "text": TEXT, "coordinate_space": "source"} | changes
    return {key: value for key, value in whole.items() if value is not ...}


def write(path: Path, *rows: Mapping[str, Any] | str) -> Path:
    lines = (own if isinstance(own, str) else json.dumps(own) for own in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read(tmp_path: Path, *rows: Mapping[str, Any] | str) -> Predictions:
    return read_predictions(write(tmp_path / "model.jsonl", *rows), QUESTIONS)


def box_of(predictions: Predictions, question_id: str = "known") -> tuple[float, ...]:
    return predictions.by_id[question_id].answer.tracks[0].rows[0][1:]


# --- what is read -----------------------------------------------------------------------------------------------------


def test_a_prediction_is_its_parsed_text_with_problems_and_tags(tmp_path: Path) -> None:
    read_back = read(tmp_path, row(), row(question_id="third", text="no idea"))
    assert read_back.by_id == {"known": parse_answer(TEXT), "third": parse_answer("no idea")}
    assert read_back.warnings == ()


@pytest.mark.parametrize(
    ("changes", "box"),
    [
        ({"coordinate_space": "source"}, (100, 100, 200, 200)),
        ({"coordinate_space": "source", "frame_size": [640, 360]}, (100, 100, 200, 200)),
        ({"coordinate_space": "norm1000", "frame_size": [640, 360]}, (64, 36, 128, 72)),
        ({"coordinate_space": "norm1000", "question_id": "sized"}, (64, 36, 128, 72)),
        ({"coordinate_space": "norm1000", "question_id": "sized", "frame_size": [640, 360]}, (64, 36, 128, 72)),
        ({"coordinate_space": "norm1000", "question_id": "sized", "frame_size": None}, (64, 36, 128, 72)),
        ({"coordinate_space": "model", "processed_size": [200, 200], "frame_size": [640, 360]}, (320, 180, 640, 360)),
        ({"coordinate_space": "model", "processed_size": [200, 200], "question_id": "sized"}, (320, 180, 640, 360)),
        ({"coordinate_space": "source", "processed_size": None}, (100, 100, 200, 200)),
        ({"model": "some 7B", "note": [1, {"a": None}], "prompt_tokens": 3}, (100, 100, 200, 200)),
    ],
)
def test_boxes_arrive_in_source_pixels_and_other_keys_are_ignored(
    tmp_path: Path, changes: dict[str, Any], box: tuple[float, ...]
) -> None:
    read_back = read(tmp_path, row(**changes))
    assert box_of(read_back, changes.get("question_id", "known")) == box


def test_blank_lines_are_skipped_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    read_back = read(tmp_path, "", row(), "  \t ", "", row(question_id="third"), "")
    assert list(read_back.by_id) == ["known", "third"]
    with pytest.raises(PredictionError, match=r"model\.jsonl:4: "):
        read(tmp_path, "", row(), "  \t ", "{")


def test_a_file_with_windows_line_ends_and_without_a_last_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.jsonl"
    path.write_bytes(f"{json.dumps(row())}\r\n{json.dumps(row(question_id='third'))}".encode())
    assert list(read_predictions(path, QUESTIONS).by_id) == ["known", "third"]


def test_letters_of_any_script_in_a_text_arrive_unharmed(tmp_path: Path) -> None:
    text = TEXT.replace("dog", "犬\u2028\x85 caf\u00e9")
    path = tmp_path / "model.jsonl"
    path.write_text(json.dumps(row(text=text), ensure_ascii=False), encoding="utf-8")
    assert read_predictions(path, QUESTIONS).by_id["known"].answer.tracks[0].name == "犬\u2028\x85 caf\u00e9"


def test_a_lone_surrogate_in_a_text_is_read_as_any_letter(tmp_path: Path) -> None:
    read_back = read(tmp_path, '{"question_id": "known", "text": "<object>\\ud800</object>", "coordinate_space": "source"}')
    assert read_back.by_id["known"].answer.tracks[0].name == "\ud800"


@pytest.mark.parametrize(
    "text", ["", "[" * 100_000, "<object>" * 25_000, '{"t": ' + "1" * 5_000 + "}"], ids=["empty", "deep", "tags", "digits"]
)
def test_a_hostile_text_is_a_prediction_with_problems(tmp_path: Path, text: str) -> None:
    parsed = read(tmp_path, row(text=text)).by_id["known"]
    assert parsed.answer == Answer()
    assert parsed.problems != ()


def test_the_text_that_is_shown_is_the_one_that_the_model_wrote(tmp_path: Path) -> None:
    read_back = read(tmp_path, row(raw_text="as it came"), row(question_id="third"), row(question_id="sized", raw_text=3))
    assert read_back.texts == {"known": "as it came", "third": TEXT, "sized": TEXT}


def test_an_empty_file_predicts_nothing(tmp_path: Path) -> None:
    read_back = read(tmp_path)
    assert read_back == Predictions({}, {}, ())
    assert read_back.for_questions(QUESTIONS) == [MISSING] * 3


def test_predictions_come_in_the_order_of_the_questions_with_gaps_marked(tmp_path: Path) -> None:
    read_back = read(tmp_path, row(question_id="third", text="3"), row(text="1"))
    assert read_back.for_questions(QUESTIONS) == [parse_answer("1"), MISSING, parse_answer("3")]
    assert [problem.kind for problem in MISSING.problems] == ["missing"]


def test_boxes_that_do_not_fit_their_space_are_warned_about_by_file_and_space(tmp_path: Path) -> None:
    unit_text = TEXT.replace("100.0", "0.1").replace("200.0", "0.9")
    rows = [
        row(text=unit_text),
        row(question_id="sized", coordinate_space="unit"),
        row(question_id="third", coordinate_space="norm1000", frame_size=[640, 360]),
    ]
    warnings = read(tmp_path, *rows).warnings
    assert len(warnings) == 2
    assert all(warning.startswith(f"{tmp_path / 'model.jsonl'}: 1 of 1 predicted boxes") for warning in warnings)
    assert ["'source' right?" in warnings[0], "'unit' right?" in warnings[1]] == [True, True]


# --- what is refused --------------------------------------------------------------------------------------------------

BAD_LINES: dict[str, tuple[Mapping[str, Any] | str, str]] = {
    "no JSON": ("question_id: known", "no JSON .* write one JSON object a line"),
    "cut JSON": ('{"question_id": "known", "te', "no JSON .* write one JSON object a line"),
    "two values": ('{"a": 1} {"b": 2}', "no JSON .* write one JSON object a line"),
    "byte order mark": ("\ufeff{}", "no JSON"),
    "nested 100,000 deep": ("[" * 100_000, "no JSON .* write one JSON object a line"),
    "nested 100,000 deep in a key": (
        '{"question_id": "known", "x": ' + '{"a":' * 100_000,
        "no JSON .* write one JSON object a line",
    ),
    "a list": ("[1, 2]", "a JSON object is expected, but it is a list"),
    "a string": ('"known"', "a JSON object is expected, but it is a str"),
    "null": ("null", "a JSON object is expected, but it is a NoneType"),
    "a number": ("NaN", "a JSON object is expected, but it is a float"),
    "no id": (row(question_id=...), "'question_id' is missing: a line needs question_id, text and coordinate_space"),
    "no text": (row(text=...), "'text' is missing: a line needs"),
    "no space": (row(coordinate_space=...), "'coordinate_space' is missing: a line needs"),
    "empty object": ({}, "'question_id' is missing"),
    "id is a number": (row(question_id=7), "'question_id' should be a string, but is a int"),
    "text is null": (row(text=None), "'text' should be a string, but is a NoneType"),
    "text is a list": (row(text=["a"]), "'text' should be a string, but is a list"),
    "space is null": (row(coordinate_space=None), "'coordinate_space' should be a string, but is a NoneType"),
    "unknown id": (row(question_id="other"), "'other' is not in this split: check --split and --dataset"),
    "unknown space": (row(coordinate_space="pixels"), "coordinate_space is 'pixels'; say in which space"),
    "missing frame size": (row(coordinate_space="norm1000"), "the space 'norm1000' needs frame_size .* there is none"),
    "missing frame size of unit": (row(coordinate_space="unit"), "the space 'unit' needs frame_size"),
    "missing processed size": (
        row(coordinate_space="model", frame_size=[640, 360]),
        "the space 'model' needs processed_size .* there is none",
    ),
    "bad frame size": (row(frame_size=[640]), r"frame_size is \[640\]; it must be two whole numbers above 0"),
    "frame size of floats": (row(coordinate_space="unit", frame_size=[640.5, 360]), r"frame_size is \[640\.5, 360\]"),
    "frame size is text": (row(coordinate_space="unit", frame_size="640x360"), "frame_size is '640x360'"),
    "frame size beyond all numbers": (row(coordinate_space="unit", frame_size=[10**400, 360]), "frame_size is "),
    "frame size at odds": (
        row(question_id="sized", frame_size=[360, 640]),
        r"frame_size is \[360, 640\], but the data set has \[640, 360\] .* was the model given another file",
    ),
    "bad processed size": (
        row(coordinate_space="model", frame_size=[640, 360], processed_size=[0, 28]),
        r"processed_size is \[0, 28\]; it must be two whole numbers above 0",
    ),
    "processed size is an object": (
        row(coordinate_space="model", frame_size=[640, 360], processed_size={"w": 1}),
        "processed_size is {'w': 1}",
    ),
    "processed size without meaning": (row(processed_size=[28, 28]), "processed_size .* in the space 'model' only"),
    "a whole number of 5,000 digits": (f'{{"question_id": {"1" * 5_000}}}', "."),
}


@pytest.mark.parametrize(("line", "message"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_refused_with_file_line_and_remedy(
    tmp_path: Path, line: Mapping[str, Any] | str, message: str
) -> None:
    with pytest.raises(PredictionError, match=message) as caught:
        read(tmp_path, row(question_id="third"), "", line)
    assert str(caught.value).startswith(f"{tmp_path / 'model.jsonl'}:3: ")


def test_an_unknown_space_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(PredictionError) as caught:
        read(tmp_path, row(coordinate_space=""))
    assert SPACES_HELP in str(caught.value)


def test_a_repeated_id_is_refused_with_both_lines(tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match=r"model\.jsonl:4: 'known' stood in line 2 before: keep one of the two"):
        read(tmp_path, "", row(), row(question_id="third"), row(text="another"))


def test_an_absent_file_a_folder_and_another_encoding_are_refused_by_path(tmp_path: Path) -> None:
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes(json.dumps(row(text="café"), ensure_ascii=False).encode("latin-1"))
    for path in (tmp_path / "absent.jsonl", tmp_path, latin):
        with pytest.raises(PredictionError, match="it cannot be read") as caught:
            read_predictions(path, QUESTIONS)
        assert str(caught.value).startswith(f"{path}: ")


# --- arbitrary files --------------------------------------------------------------------------------------------------

_SIZES = st.none() | st.lists(st.integers(-1, 3), max_size=3) | st.sampled_from(["640x360", [640, 360], {}, 1.5])
_ANYTHING = st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=3)
_ROWS = st.fixed_dictionaries(
    {},
    optional={
        "question_id": st.sampled_from(["known", "sized", "third", "other"]) | _ANYTHING,
        "text": st.sampled_from([TEXT, "", "<where>1: [1, 2, 3"]) | _ANYTHING,
        "coordinate_space": st.sampled_from(["source", "model", "norm1000", "unit", ""]) | _ANYTHING,
        "frame_size": _SIZES,
        "processed_size": _SIZES,
    },
)
_FILES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(_ROWS, max_size=4).map(lambda rows: "\n".join(map(json.dumps, rows)).encode()),
    st.builds(lambda at, byte: _with_byte(json.dumps(row()).encode(), at, byte), st.integers(0, 300), st.binary(max_size=1)),
)


def _with_byte(content: bytes, at: int, byte: bytes) -> bytes:
    """A good line with one byte replaced or left out."""
    return content[:at] + byte + content[at + 1 :]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_FILES)
def test_any_file_is_either_read_or_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(content)
    read_back = outcome(path)
    if isinstance(read_back, PredictionError):
        assert str(read_back).startswith(f"{path}:")
    else:
        assert set(read_back.by_id) <= {own.question_id for own in QUESTIONS}
        assert len(read_back.by_id) == sum(bool(line.strip()) for line in path.read_text(encoding="utf-8").split("\n"))


def outcome(path: Path) -> Predictions | PredictionError:
    try:
        return read_predictions(path, QUESTIONS)
    except PredictionError as error:
        return error
