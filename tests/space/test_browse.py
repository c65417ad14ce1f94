"""The questions and predictions of a data set as the page asks for them."""

import json
from pathlib import Path
from typing import Any

import pytest
from review_data import FILM
from review_data import HOSTILE
from review_data import IDS
from review_data import MISSING
from review_data import WIDTH
from review_data import square_box
from review_data import write_review_data

from r_avst.dataset_builder.page_server import answering
from r_avst.dataset_builder.video import find_videos
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import score_question
from r_avst.metrics.benchmark import BenchmarkError
from r_avst.metrics.benchmark import load_questions
from r_avst.metrics.predictions import PredictionError
from r_avst.space.browse import Browse
from r_avst.space.browse import BrowseError
from r_avst.space.browse import index_of
from r_avst.space.browse import load_browse
from r_avst.space.browse import media_for
from r_avst.space.browse import scene_of

EXACT = NameMatcher(None)
HALF = "<answer>\n<object>red square</object>\n<where>\n0.0: [10.0, 30.0, 40.0, 50.0]\n</where>\n</answer>"


def write_predictions(path: Path, texts: dict[str, str], **more: Any) -> Path:
    rows = ({"question_id": name, "text": text, "coordinate_space": "source", **more} for name, text in texts.items())
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browse")
    write_review_data(path)
    gold = {own.question_id: own.answer for own in load_questions(str(path / "r-avst"), "test")}
    write_predictions(path / "gold.jsonl", gold)
    write_predictions(path / "half.jsonl", {IDS[3]: HALF, IDS[0]: HOSTILE})
    return path


@pytest.fixture(scope="module")
def browse(folder: Path) -> Browse:
    predictions = [folder / "gold.jsonl", folder / "half.jsonl"]
    return load_browse(str(folder / "r-avst"), "test", predictions, find_videos(folder / "videos"), "exact")


def test_the_index_has_a_column_entry_for_every_question(browse: Browse) -> None:
    index = index_of(browse, {})
    assert sorted(index["question_id"]) == sorted(IDS)
    lengths = {len(index[name]) for name in ("question_id", "video_id", "video", "question", "task", "events")}
    assert lengths == {len(IDS)}
    assert dict(zip(index["video_id"], index["video"], strict=True)) == {FILM: True, MISSING: False}
    assert index["models"] == ["gold", "half"]
    gold, half = index["scores"]
    assert {score for column in gold.values() for score in column if score is not None} == {1.0}
    place = index["question_id"].index(IDS[3])
    truth = parse_answer(browse.questions[place].answer).answer
    assert half["vIoU"][place] == round(score_question(parse_answer(HALF), truth, "spatial", EXACT).viou or 0, 3) > 0
    assert half["tIoU"][place] is None
    assert half["vIoU"][index["question_id"].index(IDS[2])] == 0.0  # no prediction scores 0
    assert index["objects"][place] == ["red square"]
    json.dumps(index, allow_nan=False)


def test_boxes_in_a_space_that_looks_wrong_are_told(folder: Path, tmp_path: Path) -> None:
    path = write_predictions(tmp_path / "unit.jsonl", {IDS[3]: HALF}, frame_size=[WIDTH, 120])
    path.write_text(path.read_text(encoding="utf-8").replace('"source"', '"unit"'), encoding="utf-8")
    browse = load_browse(str(folder / "r-avst"), "test", [path], {}, "exact")
    warning, naming = index_of(browse, {})["notes"]
    assert warning.startswith("unit.jsonl: 1 of 1 predicted boxes have coordinates beyond the frame")
    assert "exact" in naming
    assert str(folder) not in json.dumps(index_of(browse, {}))
    assert str(folder) not in answering(scene_of, browse, BrowseError)({"question_id": "x"})["error"]


def test_a_scene_holds_truth_and_models(browse: Browse) -> None:
    scene = scene_of(browse, {"question_id": IDS[3]})
    assert [layer["name"] for layer in scene["layers"]] == ["truth", "gold", "half"]
    assert (scene["frame"], scene["start"], scene["duration"]) == ((WIDTH, 120), 0.0, 6.0)
    truth, gold, half = scene["layers"]
    assert truth["tracks"][0]["frames"][1] == (1.0, (square_box(1),))
    assert gold["tracks"][0]["frames"] == truth["tracks"][0]["frames"]
    assert gold["scores"]["vIoU"] == 1.0
    assert {iou for _, iou in gold["curve"]} == {1.0, None}
    assert half["text"] == HALF
    assert scene["video"] == "videos/film%20%231%2050%25"
    assert media_for(browse, {"question_id": IDS[3]})["frame_times"][:3] == (0.0, 0.1, 0.2)


def test_a_question_without_a_video_or_a_prediction_is_shown_too(browse: Browse) -> None:
    scene = scene_of(browse, {"question_id": IDS[1]})
    assert scene["video"] is None
    assert scene["layers"][2]["problems"] == ("missing: no prediction",)
    assert media_for(browse, {"question_id": IDS[1]}) == {"frame_times": None, "sound": None}


def test_what_a_model_wrote_is_text_and_nothing_else(browse: Browse) -> None:
    layer = scene_of(browse, {"question_id": IDS[0]})["layers"][2]
    assert layer["text"] == HOSTILE


@pytest.mark.parametrize(
    "request_", [{}, {"question_id": None}, {"question_id": "../../etc"}, {"question_id": ["x"]}, "x", None]
)
def test_a_request_for_nothing_is_an_error_that_says_so(browse: Browse, request_: Any) -> None:
    for function in (scene_of, media_for):
        assert "there is no question" in answering(function, browse, BrowseError)(request_)["error"]
    with pytest.raises(BrowseError):
        browse.place({"question_id": "x"})


def test_two_models_need_two_names(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "truth.jsonl").write_text("", encoding="utf-8")
    for files in ([folder / "half.jsonl", folder / "half.jsonl"], [tmp_path / "truth.jsonl"]):
        with pytest.raises(PredictionError, match="rename this one"):
            load_browse(str(folder / "r-avst"), "test", files, {}, "exact")


def test_a_split_that_is_not_there_says_how_to_build_it(folder: Path) -> None:
    with pytest.raises(BenchmarkError, match="r-avst-build"):
        load_browse(str(folder / "nothing"), "test", [], {}, "exact")
