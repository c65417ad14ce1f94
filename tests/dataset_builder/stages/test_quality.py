"""Every check finds what is planted for it and nothing else; ratings keep what people call good."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r_avst.dataset_builder.ratings import append_rating
from r_avst.dataset_builder.ratings import digest_shown
from r_avst.dataset_builder.ratings import rating_now
from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Frame
from r_avst.dataset_builder.records import Instance
from r_avst.dataset_builder.records import ObjectTrack
from r_avst.dataset_builder.records import Question
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.sources.release import read_release
from r_avst.dataset_builder.stages.quality import REASONS
from r_avst.dataset_builder.stages.quality import QualityStage
from r_avst.dataset_builder.stages.quality import count_tokens
from r_avst.dataset_builder.stages.quality import describe
from r_avst.dataset_builder.stages.questions import QuestionStage
from r_avst.dataset_builder.stages.stage import StageError
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.overlap import Box

VIDEO = Video("v", "test", 60.0, 640, 480)
BOX = (10.0, 20.0, 60.0, 80.0)
GONE = Instance((0.0, 0.0, 0.0, 0.0), visible=False)
UNBOUND = QualityStage(max_answer_tokens=None)


def row(span: tuple[float, float] = (0.0, 3.0), boxes: Sequence[Box | None] = (BOX,) * 3, video: Video = VIDEO) -> VideoRow:
    """A video with one event and its four questions; the silent ball is always well in sight."""
    frames = [Frame(span[0] + k, (Instance(box, visible=True) if box else GONE,)) for k, box in enumerate(boxes)]
    ball = [Frame(span[0] + k, (Instance(BOX, visible=True),)) for k in range(3)]
    objects = (ObjectTrack("Dog", True, tuple(frames)), ObjectTrack("a ball", False, tuple(ball)))
    event = Event("v-0", "v", span, ("dog barking",), "...", objects)
    return QuestionStage(balance_tasks=False, max_per_event=None).run([VideoRow(video, "v.mp4", (event,))])[0][0]


def rejected(own: VideoRow, stage: QualityStage = QualityStage()) -> dict[str, set[str]]:  # noqa: B008  (frozen)
    """The reasons by the kind of question that they hit."""
    _, report = stage.run([own])
    found: dict[str, set[str]] = {}
    for one in report["rejected"]:
        found.setdefault(one["question_id"].removeprefix("v-0-"), set()).add(one["reason"])
    return found


OF_DOG = ("temporal-0", "spatial-0", "spatio_temporal-0")
PLACED = ("spatial-0", "spatio_temporal-0")
ALL = (*OF_DOG, "spatial-1")


# --- planted faults ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "questions", "reasons"),
    [
        (row(), (), set()),
        # the span
        (row((57.0, 60.04)), (), set()),
        (row((57.0, 59.96), video=Video("v", "test", 59.96, 640, 480)), (), set()),  # written as 60.0
        (row((57.0, 60.2)), ALL, {"span_outside"}),
        (row((61.0, 64.0)), ALL, {"span_outside"}),
        (row((-1.0, 3.0)), ALL, {"span_outside"}),
        # the frame
        (row(boxes=[(0.0, 0.0, 640.0, 480.0)] * 3), (), set()),
        (row(boxes=[BOX, (10.0, 20.0, 640.1, 80.0), BOX]), PLACED, {"box_outside"}),
        (row(boxes=[BOX, (10.0, 20.0, 60.0, 480.1), BOX]), PLACED, {"box_outside"}),
        (row(boxes=[BOX, (-0.1, 20.0, 60.0, 80.0), BOX]), PLACED, {"box_outside"}),
        (row(boxes=[BOX, (700.0, 20.0, 760.0, 80.0), BOX]), PLACED, {"box_outside"}),
        (row(boxes=[(10.0, 20.0, 6000.0, 80.0)] * 3, video=Video("v", "test", 60.0)), (), set()),
        # the box itself
        (row(boxes=[BOX, (10.0, 20.0, 10.0, 80.0), BOX]), PLACED, {"flat_box", "malformed"}),
        (row(boxes=[BOX, (10.0, 20.0, 60.0, 20.04), BOX]), PLACED, {"flat_box", "malformed"}),
        (row(boxes=[BOX, (60.0, 20.0, 10.0, 80.0), BOX]), PLACED, {"flat_box", "malformed"}),
        (row(boxes=[BOX, (10.0, float("nan"), 60.0, 80.0), BOX]), PLACED, {"flat_box", "box_outside", "malformed"}),
        # being seen
        (row(boxes=[None, None, None]), OF_DOG, {"never_visible"}),
        (row(boxes=[None, BOX, None]), OF_DOG, {"short_track"}),
        (row(boxes=[BOX]), OF_DOG, {"short_track"}),
        (row(boxes=[BOX, None, BOX]), (), set()),
        (row(boxes=[None, BOX, BOX]), (), set()),
    ],
)
def test_a_planted_fault_rejects_the_questions_that_it_touches(
    own: VideoRow, questions: Sequence[str], reasons: set[str]
) -> None:
    assert len(own.questions) == 4
    assert rejected(own) == {question: reasons for question in questions}
    kept = QualityStage().run([own])[0][0]
    assert kept == replace(
        own, questions=tuple(q for q in own.questions if q.question_id.removeprefix("v-0-") not in questions)
    )


@pytest.mark.parametrize(
    ("answer", "task"),
    [
        ("", "temporal"),
        ("a dog, I think", "spatial"),
        ("<answer><object>Dog</object></answer>", "temporal"),
        ("<answer><object>Dog</object><when>[2, 1]</when></answer>", "temporal"),
        ("<answer><object>Dog</object><when>[1, 2]</when></answer>", "spatial"),
        ("<answer><object>Dog</object><where>1.0: [1, 2, 3]</where></answer>", "spatial"),
        ("<answer>" * 200, "spatio_temporal"),
    ],
)
def test_an_answer_that_is_not_well_formed_is_rejected(answer: str, task: Task) -> None:
    own = row()
    question = next(found for found in own.questions if found.task == task)
    broken = replace(own, questions=(replace(question, answer=answer),))
    assert rejected(broken) == {f"{task}-0": {"malformed"}}


def test_an_answer_over_the_budget_is_rejected_and_one_on_it_is_kept() -> None:
    own = row((0.0, 33.0), [BOX] * 33)
    tokens = {question.question_id: count_tokens(question.answer) for question in own.questions}
    most = tokens["v-0-spatial-0"]
    assert rejected(own, QualityStage(max_answer_tokens=most)) == {"spatio_temporal-0": {"over_budget"}}
    assert "over_budget" in rejected(own, QualityStage(max_answer_tokens=most - 1))["spatial-0"]
    assert rejected(own, UNBOUND) == {}


def test_a_question_without_a_span_is_rejected() -> None:
    own = row()
    assert rejected(replace(own, questions=(replace(own.questions[0], when=None),))) == {"temporal-0": {"span_outside"}}


def test_how_long_an_object_must_be_seen_is_an_option() -> None:
    own = row(boxes=[BOX, BOX, None])
    assert rejected(own, QualityStage(min_seen=1.0)) == {}
    assert set(rejected(own, QualityStage(min_seen=1.5))) == set(OF_DOG)


def test_the_report_tells_what_was_found_and_counts_it() -> None:
    good, bad = row(), row((57.0, 60.2), [BOX, (10.0, 20.0, 640.1, 80.0), BOX])
    bad = replace(bad, questions=tuple(replace(own, question_id=f"w{own.question_id}") for own in bad.questions))
    kept, report = QualityStage().run([good, bad])
    assert [len(own.questions) for own in kept] == [4, 0]
    assert (report["questions"], report["kept"], report["videos_without_question"]) == (8, 4, 1)
    assert report["tasks"] == {"temporal": 1, "spatial": 2, "spatio_temporal": 1}
    assert {reason: count for reason, count in report["reasons"].items() if count} == {"span_outside": 4, "box_outside": 2}
    assert tuple(report["reasons"]) == REASONS
    texts = {(one["question_id"], one["reason"]): one["text"] for one in report["rejected"]}
    assert texts["wv-0-temporal-0", "span_outside"] == "the span is [57.0, 60.2], and the video lasts 60.00 s"
    assert texts["wv-0-spatial-0", "box_outside"] == (
        "'Dog' at 58.0 s: [10.0, 20.0, 640.1, 80.0], and the frame has 640 x 480"
    )
    text = describe(json.loads(json.dumps(report)))
    assert text.startswith("4 of 8 questions are kept (1 temporal, 2 spatial, 1 spatio_temporal).")
    assert [line.split() for line in text.splitlines() if "side" in line] == [
        ["│", "span_outside", "│", "4", "│"],
        ["│", "box_outside", "│", "2", "│"],
    ]


def test_videos_whose_boxes_cannot_be_checked_are_counted() -> None:
    _, report = QualityStage().run([row(video=Video("v", "test", 60.0)), row()])
    assert report["videos_without_frame_size"] == 1
    assert "1 videos have no frame size" in describe(report)


def test_nothing_to_check_is_no_error() -> None:
    assert QualityStage().run([])[0] == ()
    assert describe(QualityStage().run([])[1]).startswith("0 of 0")


# --- random boxes -----------------------------------------------------------------------------------------------------

edge = st.sampled_from([-5.0, 0.0, 10.0, 320.0, 480.0, 640.0, 700.0])
some_boxes = st.lists(st.one_of(st.none(), st.tuples(edge, edge, edge, edge)), min_size=1, max_size=5)


@given(some_boxes, st.floats(0, 60))
def test_the_reasons_are_those_of_a_plain_recount(boxes: list[Box | None], start: float) -> None:
    boxes = [None if box == (0.0,) * 4 else box for box in boxes]
    own = row((start, start + len(boxes)), boxes)
    shown = [(place, box) for place, box in enumerate(boxes) if box]
    expected = set()
    if round(start + len(boxes), 1) > 60.06:
        expected.add("span_outside")
    if any(min(box) < 0 or max(box[0], box[2]) > 640 or max(box[1], box[3]) > 480 for _, box in shown):
        expected.add("box_outside")
    if any((box[2] - box[0]) <= 0 or (box[3] - box[1]) <= 0 for _, box in shown):
        expected |= {"flat_box", "malformed"}
    if not shown:
        expected.add("never_visible")
    elif shown[-1][0] == shown[0][0]:
        expected.add("short_track")
    assert rejected(own).get("spatial-0", set()) == expected


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def qwen_pieces() -> Any:
    """Qwen2's own rule, in the library that its tokenizer runs on."""
    tokenizers = pytest.importorskip("tokenizers")
    rule = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    return tokenizers.pre_tokenizers.Split(tokenizers.Regex(rule), behavior="isolated")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("dog", 1),
        ("a red ball", 3),
        ("man's", 2),
        ("12.0", 4),
        ("0.0: [0.0, 0.0, 0.0, 0.0]\n", 24),
        ("dark-colored_pot", 3),
    ],
)
def test_the_pieces_of_a_text_are_counted(text: str, tokens: int, qwen_pieces: Any) -> None:
    assert count_tokens(text) == tokens
    assert len(qwen_pieces.pre_tokenize_str(text)) == tokens


def test_the_pieces_of_every_released_answer_are_those_of_the_tokenizer(
    released_answers: list[tuple[str, Task]], qwen_pieces: Any
) -> None:
    assert [count_tokens(text) for text, _ in released_answers] == [
        len(qwen_pieces.pre_tokenize_str(text)) for text, _ in released_answers
    ]


@given(st.text(alphabet=st.sampled_from(list("aZé犬 09٣.,:[]<>_-'sS\n\r\t\u00a0\u3000!")), max_size=40))
def test_any_text_has_the_tokenizer_s_pieces(qwen_pieces: Any, text: str) -> None:
    assert count_tokens(text) == len(qwen_pieces.pre_tokenize_str(text))


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cn", "Cs"]), max_size=40))
def test_the_count_is_a_lower_bound_for_all_that_can_be_printed(qwen_pieces: Any, text: str) -> None:
    assert count_tokens(text) <= len(qwen_pieces.pre_tokenize_str(text))


# --- the released answers ---------------------------------------------------------------------------------------------


def test_356_released_answers_are_over_the_budget_and_none_is_malformed(release_file: Path) -> None:
    records = read_release(release_file)
    events: dict[str, list[Event]] = {}
    questions: dict[str, list[Question]] = {}
    for event in records.events:
        events.setdefault(event.video_id, []).append(event)
    for question in records.questions:
        questions.setdefault(question.video_id, []).append(question)
    rows = [VideoRow(video, "", tuple(events[video.video_id]), tuple(questions[video.video_id])) for video in records.videos]
    _, report = QualityStage().run(rows)
    assert (report["reasons"]["over_budget"], report["reasons"]["malformed"], report["reasons"]["flat_box"]) == (356, 0, 0)
    late = [q for q in records.questions if q.span and q.span[1] > durations(records.videos)[q.video_id] + 0.06]
    assert report["reasons"]["span_outside"] == len(late)
    assert sum(Counter(one["question_id"] for one in report["rejected"]).values()) == len(report["rejected"])


def durations(videos: Sequence[Video]) -> dict[str, float]:
    return {video.video_id: video.duration for video in videos}


# --- ratings ----------------------------------------------------------------------------------------------------------


def rate(path: Path, *scores: tuple[str, str, int]) -> Path:
    """Ratings of the questions of `row` as they are."""
    shown = {own.question_id: digest_shown(own.question, own.answer) for own in row().questions}
    for question_id, rater, score in scores:
        append_rating(path, rating_now(f"v-0-{question_id}", shown[f"v-0-{question_id}"], rater, score, ""))
    return path


def in_split(own: VideoRow, split: str) -> VideoRow:
    """The same video in another split, with other ids."""
    questions = tuple(replace(one, question_id=f"{split}-{one.question_id}") for one in own.questions)
    return replace(own, video=replace(own.video, split=split), questions=questions)


def test_only_questions_with_a_mean_of_at_least_the_limit_are_kept(tmp_path: Path) -> None:
    ratings = rate(
        tmp_path / "ratings.jsonl",
        ("temporal-0", "ann", 4),
        ("temporal-0", "bob", 2),
        ("spatial-0", "ann", 3),
        ("spatial-0", "bob", 2),
        ("spatio_temporal-0", "ann", 1),
        ("spatio_temporal-0", "ann", 3),  # the last one counts
    )
    stage = QualityStage(ratings=ratings, keep_at_least=3)
    assert rejected(row(), stage) == {"spatial-0": {"rated_low"}, "spatial-1": {"unrated"}}
    _, report = stage.run([row()])
    assert "rated 3 by ann, 2 by bob" in [one["text"] for one in report["rejected"]]


def test_a_split_without_any_rating_is_kept_and_told(tmp_path: Path) -> None:
    ratings = rate(tmp_path / "ratings.jsonl", ("temporal-0", "ann", 4), ("spatial-0", "ann", 1))
    faulty = in_split(row(boxes=[None] * 3), "train")
    kept, report = QualityStage(ratings=ratings, keep_at_least=3).run([row(), in_split(row(), "train"), faulty])
    assert [len(own.questions) for own in kept] == [1, 4, 1]
    assert report["kept_without_rating"] == {"train": 5}
    assert describe(json.loads(json.dumps(report))).splitlines()[-1] == "not rated, so kept: train, 5 questions"


def test_a_rating_of_what_bore_the_id_before_does_not_count(tmp_path: Path) -> None:
    ratings = rate(tmp_path / "ratings.jsonl", *((question, "ann", 4) for question in ALL))
    stage = QualityStage(ratings=ratings, keep_at_least=3)
    moved = row(boxes=[(11.0, 20.0, 60.0, 80.0)] * 3)  # other answers on where the dog is
    assert rejected(moved, stage) == {question: {"unrated"} for question in PLACED}
    later = row((5.0, 8.0))  # nothing is as it was rated: no question of the split is
    assert rejected(later, stage) == {}
    assert stage.run([later])[1]["kept_without_rating"] == {"test": 4}


def test_a_question_with_a_fault_is_not_saved_by_its_rating(tmp_path: Path) -> None:
    ratings = rate(tmp_path / "ratings.jsonl", *((question, "ann", 4) for question in ALL))
    stage = QualityStage(ratings=ratings, keep_at_least=3)
    assert rejected(row(boxes=[None] * 3), stage) == {question: {"never_visible"} for question in OF_DOG}


def test_ratings_without_a_limit_remove_nothing(tmp_path: Path) -> None:
    ratings = rate(tmp_path / "ratings.jsonl", ("temporal-0", "ann", 1))
    assert rejected(row(), QualityStage(ratings=ratings)) == {}
    assert QualityStage(ratings=ratings).run([row()])[1]["kept_without_rating"] == {}


def test_a_limit_needs_ratings_and_ratings_need_their_file(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="r-avst-review"):
        QualityStage(keep_at_least=3)
    absent = tmp_path / "absent.jsonl"
    for least in (None, 3):
        with pytest.raises(StageError, match=r"absent\.jsonl: there is no such file; give the ratings"):
            QualityStage(ratings=absent, keep_at_least=least)
    absent.write_text("no rating\n", encoding="utf-8")
    with pytest.raises(StageError, match=r"absent\.jsonl, line 1"):
        QualityStage(ratings=absent, keep_at_least=3).run([row()])
