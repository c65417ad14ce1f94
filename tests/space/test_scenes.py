"""What the page is given of a question: objects and layers, also of answers that are meant to break it."""

import json
import math

import pytest

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.scores import score_question
from r_avst.space.scenes import MOST_LETTERS
from r_avst.space.scenes import MOST_OBJECTS
from r_avst.space.scenes import MOST_ROWS
from r_avst.space.scenes import Said
from r_avst.space.scenes import Scene
from r_avst.space.scenes import Truth
from r_avst.space.scenes import layers_of
from r_avst.space.scenes import shown_scores
from r_avst.space.scenes import view

EXACT = NameMatcher(None)
DOG = Track("dog", ((0.0, 0, 0, 10, 10), (1.0, 0, 0, 0, 0), (4.0, 20, 0, 30, 10), (4.0, 50, 0, 60, 10)))
CAT = Track("cat", ((0.0, 5, 5, 8, 8),))
ANSWER = Answer((DOG, CAT))
TRUTH = Truth((DOG, CAT), {"dog": True, "cat": None}, (0.0, 4.0), ANSWER, "<answer>...</answer>")


def said(text: str, name: str = "model") -> Said:
    return Said(name, parse_answer(text), text, {})


def spatial(*objects: tuple[str, str]) -> str:
    parts = (f"<object>{name}</object>\n<where>\n{rows}\n</where>" for name, rows in objects)
    return "<answer>\n" + "\n".join(parts) + "\n</answer>"


def test_the_truth_comes_first_with_every_box_at_its_time() -> None:
    objects, (layer,) = layers_of(TRUTH, [], "spatial", EXACT)
    assert [(own.name, own.audible) for own in objects] == [("dog", True), ("cat", None)]
    assert layer.truth
    assert layer.span == (0.0, 4.0)
    frames = ((0.0, ((0, 0, 10, 10),)), (1.0, ()), (4.0, ((20, 0, 30, 10), (50, 0, 60, 10))))
    assert layer.tracks[0].frames == frames


def test_a_predicted_object_stands_for_the_true_one_that_scores_match_it_with() -> None:
    first = said(spatial(("The Dogs", "0.0: [0, 0, 10, 5]"), ("bird", "0.0: [1, 1, 2, 2]")), "first")
    second = said(spatial(("BIRD", "0.0: [1, 1, 2, 2]"), ("cat", "0.0: [5, 5, 8, 8]"), ("fish", "")), "second")
    objects, (_, one, two) = layers_of(TRUTH, [first, second], "spatial", EXACT)
    assert [own.name for own in objects] == ["dog", "cat", "bird", "fish"]
    assert [(own.object, own.name) for own in one.tracks] == [(0, "The Dogs"), (2, "bird")]
    assert [own.object for own in two.tracks] == [2, 1, 3]


def test_the_curve_is_broken_in_gaps_and_where_nothing_is_visible() -> None:
    whole = Truth((DOG,), {}, None, Answer((DOG,)), "")
    _, (_, layer) = layers_of(whole, [said(spatial(("dog", "0.0: [0, 0, 10, 5]\n4.0: [20, 0, 30, 10]")))], "spatial", EXACT)
    assert layer.curve == ((0.0, 0.5), (1.0, None), (2.5, None), (4.0, 0.5))


def test_a_temporal_question_has_no_curve_and_an_upload_no_truth() -> None:
    assert layers_of(TRUTH, [said("")], "temporal", EXACT)[1][1].curve == ()
    objects, (layer,) = layers_of(None, [said(spatial(("dog", "1: [1, 2, 3, 4]")))], "spatial", EXACT)
    assert [own.name for own in objects] == ["dog"]
    assert (layer.name, layer.truth, layer.curve) == ("model", False, ())


def test_scores_are_those_of_the_task() -> None:
    parsed = parse_answer(spatial(("dog", "0.0: [0, 0, 10, 10]")))
    score = score_question(parsed, ANSWER, "spatial", EXACT)
    shown = shown_scores(score, "spatial")
    assert shown["vIoU"] == score.viou
    assert "tIoU" not in shown
    assert set(shown_scores(score, "temporal")) == {"tIoU", "object F1", "format"}


def test_an_answer_without_end_is_cut_and_says_so() -> None:
    rows = "\n".join(f"{second}.0: [1, 1, 5, 5]" for second in range(MOST_ROWS + 50))
    many = spatial(*((f"thing {number}", "") for number in range(MOST_OBJECTS + 5)))
    _, (long, wide) = layers_of(None, [said(spatial(("dog", rows), ("cat", rows))), said(many)], "spatial", EXACT)
    assert sum(len(track.frames) for track in long.tracks) == MOST_ROWS
    assert len(long.text) == MOST_LETTERS
    assert [line.split(",")[0] for line in long.problems[-2:]] == [
        f"{2 * (MOST_ROWS + 50) // 1000}",
        f"{len(said(spatial(('dog', rows), ('cat', rows))).text) // 1000}",
    ]
    assert len(wide.tracks) == MOST_OBJECTS
    assert f"{MOST_OBJECTS + 5} objects, of which {MOST_OBJECTS} are drawn" in wide.problems


@pytest.mark.parametrize("number", ["1e300", "99999999", "-1e18"])
def test_boxes_beyond_any_picture_are_not_drawn(number: str) -> None:
    _, (layer,) = layers_of(
        None, [said(spatial(("dog", f"0.0: [0, 0, 10, {number}]\n1.0: [1, 2, 3, 4]")))], "spatial", EXACT
    )
    assert layer.tracks[0].frames == ((1.0, ((1.0, 2.0, 3.0, 4.0),)),)


def test_half_a_letter_can_be_sent() -> None:
    text = spatial(("do\ud800g", "0.0: [0, 0, 1, 1]"), ("\udfff", "0.0: [0, 0, nan\ud83d, 1]"))
    objects, layers = layers_of(None, [said(text)], "spatial", EXACT)
    scene = Scene("q", "v", "spatial", "", (), "", 5.0, None, None, 0.0, objects, layers)
    sent = json.dumps(view(scene), ensure_ascii=False).encode("utf-8")
    assert b'"do?g"' in sent


def test_a_scene_is_json_without_a_number_that_browsers_do_not_know() -> None:
    objects, layers = layers_of(TRUTH, [said("<answer>" * 9)], "spatial", EXACT)
    scene = Scene("q", "v", "spatial", "where", ("dog barking",), "Where?", 5.0, None, None, 0.0, objects, layers)
    again = json.loads(json.dumps(view(scene), allow_nan=False))
    assert again["layers"][0]["tracks"][0]["frames"][1] == [1.0, []]
    assert math.isfinite(again["duration"])
