"""Questions and answers are those of the release's form, and what is drawn follows from the seed."""

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from r_avst.dataset_builder.records import Event
from r_avst.dataset_builder.records import Frame
from r_avst.dataset_builder.records import Instance
from r_avst.dataset_builder.records import ObjectTrack
from r_avst.dataset_builder.records import Question
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.sources.release import TASK_KEYS
from r_avst.dataset_builder.sources.release import read_release
from r_avst.dataset_builder.stages.questions import NotAsked
from r_avst.dataset_builder.stages.questions import QuestionStage
from r_avst.dataset_builder.stages.questions import can_be_asked
from r_avst.dataset_builder.stages.questions import questions_of
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import is_well_formed
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.overlap import Box

ALL = QuestionStage(balance_tasks=False, max_per_event=None)
GONE = Instance((0.0, 0.0, 0.0, 0.0), visible=False)
BOX = (10.0, 20.0, 60.0, 80.0)


def seen(name: str, audible: bool, start: float, *boxes: Box | None) -> ObjectTrack:
    frames = (
        Frame(round(start + place, 3), (Instance(box, visible=True) if box else GONE,)) for place, box in enumerate(boxes)
    )
    return ObjectTrack(name, audible, tuple(frames))


def heard(name: str) -> ObjectTrack:
    return ObjectTrack(name, audible=True, frames=())


def event(index: int, span: tuple[float, float], *objects: ObjectTrack, video_id: str = "v") -> Event:
    return Event(f"{video_id}-{index}", video_id, span, ("dog barking",), "...", objects)


def row(*events: Event, video_id: str = "v", split: str = "test") -> VideoRow:
    return VideoRow(Video(video_id, split, 60.0, 640, 480), f"{video_id}.mp4", events)


def asked(own: VideoRow) -> list[Question]:
    return [found for found in questions_of(own) if isinstance(found, Question)]


def left_out(own: VideoRow) -> list[tuple[str, str]]:
    return [(found.event_id, found.reason) for found in questions_of(own) if isinstance(found, NotAsked)]


GARDEN = row(
    event(
        0,
        (1.38, 4.0),
        seen("Dog", True, 1.38, BOX, None, (12.04, 20.0, 62.06, 80.0)),
        heard("A bird"),
        seen("a red ball", False, 1.38, BOX, BOX, BOX),
    )
)


# --- one video, by hand -----------------------------------------------------------------------------------------------


def test_an_event_gives_the_release_s_questions_with_their_answers() -> None:
    rows = "1.4: [10.0, 20.0, 60.0, 80.0]\n2.4: [0.0, 0.0, 0.0, 0.0]\n3.4: [12.0, 20.0, 62.1, 80.0]\n"
    ball = "1.4: [10.0, 20.0, 60.0, 80.0]\n2.4: [10.0, 20.0, 60.0, 80.0]\n3.4: [10.0, 20.0, 60.0, 80.0]\n"
    when = "<object>Dog</object>\n<when>[1.4, 4.0]</when>\n"
    assert [(own.question_id, own.question, own.answer) for own in asked(GARDEN)] == [
        (
            "v-0-temporal-0",
            "When is the moment Dog makes sound and is visible?",
            f"<answer>\n{when}</answer>",
        ),
        (
            "v-0-spatial-0",
            "What visible object(s) make sound between 1.4 and 4.0, and where is/are they?",
            f"<answer>\n<object>Dog</object>\n<where>\n{rows}</where>\n</answer>",
        ),
        (
            "v-0-spatial-1",
            "What silent object(s) can be seen between 1.4 and 4.0, and where is/are they?",
            f"<answer>\n<object>a red ball</object>\n<where>\n{ball}</where>\n</answer>",
        ),
        (
            "v-0-spatio_temporal-0",
            'When is the moment Dog makes sound and is visible, and where is the "Dog"?',
            f"<answer>\n{when}<where>\n{rows}</where>\n</answer>",
        ),
    ]


def test_the_fields_of_a_question_hold_the_numbers_of_its_answer() -> None:
    temporal, sounding, silent, both = asked(GARDEN)
    assert [own.question_type for own in (temporal, sounding, silent, both)] == [
        "when",
        "where_sounding",
        "where_silent",
        "when_where",
    ]
    assert (temporal.when, temporal.query_span, temporal.objects) == ((1.4, 4.0), None, (heard("Dog"),))
    assert (sounding.when, sounding.query_span) == (None, (1.4, 4.0))
    assert sounding.objects == both.objects == (seen("Dog", True, 1.4, BOX, None, (12.0, 20.0, 62.1, 80.0)),)
    assert silent.objects == (seen("a red ball", False, 1.4, BOX, BOX, BOX),)
    assert {(own.event_id, own.video_id, own.event_labels) for own in asked(GARDEN)} == {("v-0", "v", ("dog barking",))}


def test_the_grid_keeps_its_steps_where_rounding_each_time_would_not() -> None:
    own = row(event(0, (1.35, 7.0), seen("Dog", True, 1.35, *[BOX] * 6)))
    frames = asked(own)[1].objects[0].frames
    assert [frame.time for frame in frames] == [1.4, 2.4, 3.4, 4.4, 5.4, 6.4]
    assert [round(1.35 + step, 1) for step in range(6)] != [1.4, 2.4, 3.4, 4.4, 5.4, 6.4]


def test_several_instances_are_rows_of_one_time_and_a_negative_zero_loses_its_sign() -> None:
    two = Frame(0.0, (Instance((-0.04, 2.0, 3.0, 4.0), visible=True), Instance(BOX, visible=True)))
    own = row(event(0, (0.0, 1.0), ObjectTrack("Dogs", True, (two,))))
    assert "<where>\n0.0: [0.0, 2.0, 3.0, 4.0]\n0.0: [10.0, 20.0, 60.0, 80.0]\n</where>" in asked(own)[1].answer


@pytest.mark.parametrize(
    ("events", "types", "reasons"),
    [
        # only heard, only seen
        ([event(0, (0, 2), heard("Dog"))], {}, []),
        ([event(0, (0, 2), seen("Dog", False, 0, BOX, BOX))], {"where_silent": 1}, []),
        ([event(0, (0, 2), replace(seen("Dog", True, 0, BOX, BOX), audible=None))], {}, []),
        # the same name in two events
        (
            [event(0, (0, 2), seen("Dog", True, 0, BOX)), event(1, (3, 5), seen("dog", True, 3, BOX))],
            {"where_sounding": 2},
            ["ambiguous_name"] * 4,
        ),
        (
            [event(0, (0, 2), seen("Dog", True, 0, BOX)), event(1, (3, 5), seen("Dog", False, 3, BOX), heard("dog"))],
            {"when": 1, "when_where": 1, "where_sounding": 1, "where_silent": 1},
            [],
        ),
        # twice in one event
        (
            [event(0, (0, 2), seen("Dog", True, 0, BOX), seen("Dog", False, 0, BOX))],
            {"where_sounding": 1, "where_silent": 1},
            ["ambiguous_name"] * 2,
        ),
        # names that an answer cannot hold
        ([event(0, (0, 2), seen("a</where>b", True, 0, BOX))], {}, ["unwritable_name"] * 3),
        (
            [event(0, (0, 2), seen("Dog", True, 0, BOX), seen("a\nb", False, 0, BOX))],
            {"when": 1, "when_where": 1, "where_sounding": 1},
            ["unwritable_name"],
        ),
        # two events on one span
        (
            [event(0, (0, 2), seen("Dog", True, 0, BOX)), event(1, (0.04, 2), seen("Cat", True, 0.04, BOX))],
            {"when": 2, "when_where": 2},
            ["shared_span"] * 2,
        ),
        # a span that rounds to nothing
        ([event(0, (0.0, 0.04), seen("Dog", True, 0, BOX))], {}, ["empty_span"]),
        ([event(0, (2.0, 1.0), seen("Dog", True, 0, BOX))], {}, ["empty_span"]),
        ([], {}, []),
    ],
)
def test_only_what_has_one_answer_is_asked(events: list[Event], types: dict[str, int], reasons: list[str]) -> None:
    own = row(*events)
    assert Counter(question.question_type for question in asked(own)) == types
    assert [reason for _, reason in left_out(own)] == reasons
    _, report = ALL.run([own])
    assert report["not_asked"] == Counter(reasons)


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a large, round, dark-colored pot", True),
        ('the "Titanic"', True),
        ("{name}", True),
        ("Müller's 犬", True),
        ("a < b", True),
        ("", False),
        (" Dog", False),
        ("Dog\n", False),
        ("Dog\u2028", False),
        ("< /Answer >", False),
        ("a</think>b", False),
    ],
)
def test_a_name_can_be_asked_about_if_it_can_be_had_back(name: str, fits: bool) -> None:
    assert can_be_asked(name) is fits


# --- random videos ----------------------------------------------------------------------------------------------------

edge = st.floats(0, 900, allow_nan=False)
boxes = st.one_of(
    st.none(),
    st.tuples(edge, edge, st.floats(0.2, 500), st.floats(0.2, 500)).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])),
)
names = st.sampled_from(["Dog", "dog", "a red ball", "Cat", "man's hat", 'a "big" car'])


@st.composite
def events(draw: st.DrawFn, video_id: str, index: int) -> Event:
    start, length = draw(st.floats(0, 30)), draw(st.integers(1, 5))
    objects = []
    for name in draw(st.lists(names, max_size=4, unique=True)):
        own = seen(name, draw(st.booleans()), start, *draw(st.lists(boxes, min_size=length, max_size=length)))
        objects.append(own if draw(st.integers(0, 3)) else heard(name))
    return event(index, (start, start + length), *objects, video_id=video_id)


@st.composite
def rows(draw: st.DrawFn) -> list[VideoRow]:
    made = []
    for number in range(draw(st.integers(1, 5))):
        own = [draw(events(f"v{number}", index)) for index in range(draw(st.integers(0, 3)))]
        made.append(row(*own, video_id=f"v{number}", split=draw(st.sampled_from(["train", "test"]))))
    return made


@given(rows())
def test_every_answer_is_well_formed_and_parses_back_to_the_question_s_rows(made: list[VideoRow]) -> None:
    for question in (own for one in made for own in asked(one)):
        parsed = parse_answer(question.answer)
        assert is_well_formed(parsed, question.task)
        assert parsed.answer.span == question.when
        assert [(track.name, track.rows) for track in parsed.answer.tracks] == [
            (own.name, tuple((frame.time, *one.box) for frame in own.frames for one in frame.instances))
            for own in question.objects
        ]


@given(rows())
@settings(max_examples=50)
def test_the_reader_of_the_release_reads_the_same_questions(made: list[VideoRow]) -> None:
    stage_rows, _ = ALL.run(made)
    entries = [as_released(own) for own in stage_rows if own.questions]
    if not entries:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "released.json"
        path.write_text(json.dumps(entries), encoding="utf-8")
        read = read_release(path).questions
    expected = [own for one in stage_rows for own in one.questions]
    assert [replace(own, question_id="", event_id="") for own in read] == [
        replace(own, question_id="", event_id="", event_labels=()) for own in expected
    ]


def as_released(own: VideoRow) -> dict[str, object]:
    """A row in the form of the released file."""
    annotations: list[dict[str, object]] = []
    for one in own.events:
        pairs: dict[str, list[dict[str, str]]] = {}
        for question in (found for found in own.questions if found.event_id == one.event_id):
            key = next(key for key, task in TASK_KEYS.items() if task == question.task)
            pairs.setdefault(key, []).append({"Q": question.question, "A": question.answer})
        if pairs:
            annotations.append({"event_num": len(annotations), **pairs})
    return {"video_name": own.video.video_id, "duration": own.video.duration, "annotation": annotations}


@given(rows(), st.integers(0, 5))
def test_what_is_drawn_is_even_over_the_tasks_of_each_split_and_within_the_bound(made: list[VideoRow], seed: int) -> None:
    possible = [own for one in made for own in asked(one)]
    drawn_rows, report = QuestionStage(seed=seed, max_per_event=2).run(made)
    drawn = [own for one in drawn_rows for own in one.questions]
    assert drawn == [own for own in possible if own in drawn]
    assert max(Counter(own.event_id for own in drawn).values(), default=0) <= 2
    for split in {own.video.split for own in made}:
        counts = tasks_of(drawn_rows, split)
        assert report["tasks"][split] == {task: counts[task] for task in TASKS}
        assert len(set(counts.values())) <= 1
        assert bool(counts) == bool(tasks_of(made_with_all(made), split))
    assert (report["possible"], report["kept"]) == (len(possible), len(drawn))
    assert drawn_rows == QuestionStage(seed=seed, max_per_event=2).run(made)[0]
    json.dumps(report)


def made_with_all(made: Sequence[VideoRow]) -> Sequence[VideoRow]:
    return ALL.run(made)[0]


def tasks_of(made: Sequence[VideoRow], split: str) -> Counter[Task]:
    return Counter(own.task for one in made if one.video.split == split for own in one.questions)


# --- the seed ---------------------------------------------------------------------------------------------------------


def garden(video_id: str) -> VideoRow:
    objects = [seen(name, True, 0.0, BOX, BOX) for name in ("Dog", "Cat", "Bird")]
    return row(event(0, (0.0, 2.0), *objects, video_id=video_id), video_id=video_id)


def test_a_video_keeps_its_questions_when_others_are_added() -> None:
    few = [garden(f"v{number}") for number in range(20)]
    more = [garden(f"w{number}") for number in range(20)]
    stage = QuestionStage(balance_tasks=False, max_per_event=2)
    assert stage.run([*more, *few])[0][20:] == stage.run(few)[0]


def test_another_seed_draws_others() -> None:
    made = [garden(f"v{number}") for number in range(20)]
    first, second = (QuestionStage(seed=seed).run(made)[0] for seed in (0, 1))
    assert first != second


def test_a_draw_prefers_no_task() -> None:
    made = [garden(f"v{number}") for number in range(300)]
    drawn, report = QuestionStage(balance_tasks=False, max_per_event=1).run(made)
    counts = tasks_of(drawn, "test")  # three temporal, one spatial and three spatio-temporal questions can be asked
    assert report["drawn"] == 300
    shares = [counts[task] / 300 for task in TASKS]
    assert shares == pytest.approx([3 / 7, 1 / 7, 3 / 7], abs=0.1)
