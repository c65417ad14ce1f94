"""The rewards: gold answers get all, exploits get nothing more, a second implementation agrees, TRL's signature holds."""

import doctest
import json
import random
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import plain_scores
import pytest
from hypothesis import given
from hypothesis import strategies as st
from perturb import perturbed
from perturb import random_answer

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import TagCounts
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.coordinates import Space
from r_avst.metrics.avst_metrics.coordinates import to_source
from r_avst.metrics.avst_metrics.names import NameMatch
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.word_vectors import load_word_vectors
from r_avst.training import rewards as rewards_module
from r_avst.training.answer_form import AnswerForm
from r_avst.training.answer_form import answer_text
from r_avst.training.answer_form import scaled_answer
from r_avst.training.rewards import COMPONENTS
from r_avst.training.rewards import RewardError
from r_avst.training.rewards import Rewards
from r_avst.training.rewards import RewardWeights
from r_avst.training.rewards import component_scores
from r_avst.training.rewards import form_ceiling
from r_avst.training.rewards import temporal_skill

RELEASED = AnswerForm("source", 1, 1)
SIZES: tuple[Size, Size] = ((640, 360), (644, 364))
ASSUMED_SIZES: list[tuple[Size, Size]] = [
    SIZES,
    ((1280, 720), (644, 364)),
    ((1920, 1080), (252, 140)),
    ((480, 854), (476, 840)),
]
EXACT = NameMatcher(None)
TASK_OF_KEY: dict[str, Task] = {
    "AV Temporal Reasoning": "temporal",
    "AV Spatial Reasoning": "spatial",
    "AV ST Reasoning": "spatio_temporal",
}
WRONG_NAME = "xylotomous quark"


@dataclass(frozen=True)
class Gold:
    """A released question as a reward sees it."""

    text: str
    task: Task
    duration: float

    @property
    def answer(self) -> Answer:
        return parse_answer(self.text).answer


@pytest.fixture(scope="module")
def golds(release_file: Path) -> list[Gold]:
    entries = json.loads(release_file.read_text(encoding="utf-8"))
    return [
        Gold(pair["A"], task, float(entry["duration"]))
        for entry in entries
        for annotation in entry["annotation"]
        for key, task in TASK_OF_KEY.items()
        for pair in annotation.get(key, [])
    ]


def rewards_of(form: AnswerForm = RELEASED, names: NameMatcher = EXACT, **options: Any) -> Rewards:
    return Rewards(form, options.get("weights", RewardWeights()), names, options.get("temporal_form", "tiou"))


def columns(golds: Sequence[Gold]) -> dict[str, Any]:
    return {
        "task": [gold.task for gold in golds],
        "truth": [gold.text for gold in golds],
        "source_size": [list(SIZES[0])] * len(golds),
        "processed_size": [list(SIZES[1])] * len(golds),
        "duration": [gold.duration for gold in golds],
    }


def total(rewards: Rewards, text: str, gold: Gold) -> float:
    """What TRL makes of one completion: the sum of the four."""
    values = [function(completions=[text], **columns([gold]))[0] for function in rewards.functions()]
    return sum(value for value in values if value is not None)


# --- gold answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temporal_form", ["tiou", "skill"])
def test_gold_completions_get_all_of_every_component(golds: list[Gold], temporal_form: str) -> None:
    assert len(golds) == 1638
    rewards, weights = rewards_of(temporal_form=temporal_form), RewardWeights()
    texts = [answer_text(gold.answer, gold.task, RELEASED, *SIZES) for gold in golds]
    given_out = [function(completions=texts, **columns(golds)) for function in rewards.functions()]
    for component, values in zip(COMPONENTS, given_out, strict=True):
        for gold, value in zip(golds, values, strict=True):
            weight = weights.weight(component, gold.task)
            assert value == weight or (value is None and (not weight or no_visible_box(gold)))
    assert [sum(value is not None for value in values) for values in given_out] == [1638, 666, 972, 971]


def no_visible_box(gold: Gold) -> bool:
    return not any(is_visible(row) for track in gold.answer.tracks for row in track.rows)


def test_gold_completions_get_all_with_word_vectors_too(golds: list[Gold], vectors_file: Path) -> None:
    rewards = rewards_of(names=NameMatcher(load_word_vectors(str(vectors_file))))
    for gold in golds:
        scores = rewards.scores(gold.text, gold.task, gold.text, *SIZES, gold.duration)
        assert {value for value in asdict(scores).values() if value is not None} == {1.0}


@pytest.mark.parametrize("sizes", ASSUMED_SIZES, ids=str)
@pytest.mark.parametrize("space", ["model", "unit"])
def test_gold_answers_scaled_and_scaled_back_keep_all_but_the_last_bits(
    golds: list[Gold], space: Space, sizes: tuple[Size, Size]
) -> None:
    for gold in golds:
        there = to_source(gold.answer, "model", (1, 1), sizes[0]) if space == "unit" else in_model(gold.answer, sizes)
        back = to_source(there, space, sizes[0], sizes[1] if space == "model" else None)
        scores = component_scores(ParsedAnswer(back, (), tags_of(gold)), gold.answer, gold.task, EXACT)
        assert min(value for value in asdict(scores).values() if value is not None) >= 1 - 1e-9


def in_model(answer: Answer, sizes: tuple[Size, Size]) -> Answer:
    return scaled_answer(answer, AnswerForm("model", 1, 1), *sizes)


def tags_of(gold: Gold) -> TagCounts:
    return parse_answer(gold.text).tags


@pytest.mark.parametrize(
    ("form", "mean_floor", "floor"),
    [
        (RELEASED, 1.0, 1.0),
        (AnswerForm("model", 1, 1), 0.99, 0.9),
        (AnswerForm("norm1000", 1, 0), 0.99, 0.9),
        (AnswerForm("source", 2, 1), 0.88, 0.5),
    ],
    ids=str,
)
def test_what_a_form_leaves_of_gold_answers(golds: list[Gold], form: AnswerForm, mean_floor: float, floor: float) -> None:
    ceiling = form_ceiling([g.answer for g in golds], [g.task for g in golds], form, [SIZES] * len(golds))
    print(form, ceiling)
    assert {name: one.minimum for name, one in ceiling.items() if name != "spatial"} == {
        "format": 1.0,
        "object": 1.0,
        "temporal": 1.0,
    }
    assert mean_floor <= ceiling["spatial"].mean <= 1
    assert floor <= ceiling["spatial"].minimum <= ceiling["spatial"].mean
    assert (ceiling["spatial"].count, ceiling["temporal"].count) == (971, 972)
    assert (form == RELEASED) == (ceiling["spatial"].mean == 1)


def test_the_ceiling_of_one_answer_by_hand() -> None:
    answer = Answer((Track("dog", ((0.0, 0.0, 0.0, 10.4, 10.0),)),))
    ceiling = form_ceiling([answer], ["spatial"], AnswerForm("source", 1, 0), [SIZES])
    assert ceiling["spatial"].mean == ceiling["spatial"].minimum == pytest.approx(100 / 104)
    assert "temporal" not in ceiling


# --- a second implementation ------------------------------------------------------------------------------------------


def test_components_are_those_of_a_second_implementation(golds: list[Gold]) -> None:
    rng, rewards = random.Random(5), rewards_of()
    for gold in golds[::4]:
        text = perturbed(gold.text, rng)
        scores = rewards.scores(text, gold.task, gold.text, *SIZES, gold.duration)
        plain = plain_scores.score(text, gold.text, gold.task)
        found = (scores.object, scores.temporal, scores.spatial)
        assert found == pytest.approx((plain["object_f1"], plain["tiou"], plain["viou"]))


@given(st.integers(0, 10**6), st.sampled_from(TASKS))
def test_a_completion_in_thousandths_scores_as_the_same_one_in_pixels(seed: int, task: Task) -> None:
    rng = random.Random(seed)
    truth = random_answer(rng, task)
    text = perturbed(truth, rng)
    scaled = write_answer_with(to_source(parse_answer(text).answer, "model", (1000, 1000), SIZES[0]), text)
    pixels = rewards_of().scores(text, task, truth, *SIZES, 60.0)
    thousandths = rewards_of(AnswerForm("norm1000", 1, 0)).scores(scaled, task, truth, *SIZES, 60.0)
    assert asdict(thousandths) == pytest.approx(asdict(pixels), abs=1e-6)


def write_answer_with(answer: Answer, text: str) -> str:
    """``text`` with the boxes of ``answer``, digits enough that none is lost."""
    boxes = iter(row[1:] for track in answer.tracks for row in track.rows)
    lines = []
    for line in text.split("\n"):
        if ": [" in line and parse_answer(f"<object>x</object><where>{line}</where>").answer.tracks[0].rows:
            line = f"{line.split(':')[0]}: [{', '.join(f'{number:.9f}' for number in next(boxes))}]"
        lines.append(line)
    return "\n".join(lines)


# --- exploits ---------------------------------------------------------------------------------------------------------

Exploit = Callable[[Answer, Gold], str]
FAR = 5_000.0  # pixels: no true box is there


def add_tracks(answer: Answer, gold: Gold, tracks: Sequence[Track]) -> str:
    return write_answer(replace(answer, tracks=(*answer.tracks, *tracks)), gold.task)


def with_rows(answer: Answer, gold: Gold, change: Callable[[Track], Sequence[Row]]) -> str:
    tracks = tuple(replace(track, rows=tuple(change(track))) for track in answer.tracks)
    return write_answer(replace(answer, tracks=tracks), gold.task)


def far_box(time: float) -> Row:
    return (time, FAR, FAR, FAR + 50, FAR + 50)


def visible_rows(track: Track) -> list[Row]:
    return [row for row in track.rows if is_visible(row)]


def wrong_name(answer: Answer, gold: Gold) -> str:
    return add_tracks(answer, gold, [Track(WRONG_NAME, answer.tracks[0].rows)])


def wrong_box_at_an_annotated_time(answer: Answer, gold: Gold) -> str:
    return with_rows(answer, gold, lambda track: [*track.rows, *(far_box(row[0]) for row in visible_rows(track)[:1])])


def wrong_box_at_every_annotated_time(answer: Answer, gold: Gold) -> str:
    return with_rows(answer, gold, lambda track: [*track.rows, *(far_box(row[0]) for row in visible_rows(track))])


def rows_at_wrong_times(answer: Answer, gold: Gold) -> str:
    return with_rows(answer, gold, lambda track: [*track.rows, *((row[0] + 900, *row[1:]) for row in track.rows)])


def second_span(answer: Answer, gold: Gold) -> str:
    return write_answer(answer, gold.task).replace("</when>", "</when>\n<when>[0.0, 1.0]</when>")


def copies_of_a_track(answer: Answer, gold: Gold) -> str:
    return add_tracks(answer, gold, [answer.tracks[0]] * 20)


def moved_copies_of_a_track(answer: Answer, gold: Gold) -> str:
    moved = [
        Track(answer.tracks[0].name, tuple((t, x1 + s, y1 + s, x2 + s, y2 + s) for t, x1, y1, x2, y2 in rows))
        for s, rows in ((shift, visible_rows(answer.tracks[0])) for shift in (3.0, 40.0))
    ]
    return add_tracks(answer, gold, moved)


def copies_under_other_spellings(answer: Answer, gold: Gold) -> str:
    name = answer.tracks[0].name
    return add_tracks(answer, gold, [Track(spelling, answer.tracks[0].rows) for spelling in (f"the {name}", f"{name}!")])


def one_timestamp_only(answer: Answer, gold: Gold) -> str:
    return with_rows(answer, gold, lambda track: visible_rows(track)[:1])


def reversed_span(answer: Answer, gold: Gold) -> str:
    text = write_answer(answer, gold.task)
    return (
        text
        if answer.span is None
        else text.replace("[{:.1f}, {:.1f}]".format(*answer.span), "[{1}, {0}]".format(*answer.span))
    )


def no_objects(answer: Answer, gold: Gold) -> str:
    return "<answer>\n</answer>"


def nothing(answer: Answer, gold: Gold) -> str:
    return ""


# What an exploit leaves: tasks where it must lower the reward of a gold answer with several visible times.
ADDING: dict[Exploit, set[Task]] = {
    wrong_name: {"spatial"},
    wrong_box_at_an_annotated_time: {"spatial", "spatio_temporal"},
    wrong_box_at_every_annotated_time: {"spatial", "spatio_temporal"},
    rows_at_wrong_times: set(),
    second_span: {"temporal", "spatio_temporal"},
    copies_of_a_track: set(),
    moved_copies_of_a_track: {"spatial", "spatio_temporal"},
    copies_under_other_spellings: {"spatial"},
}
REPLACING: dict[Exploit, set[Task]] = {
    one_timestamp_only: {"spatial", "spatio_temporal"},
    reversed_span: {"temporal", "spatio_temporal"},
    no_objects: set(TASKS),
    nothing: set(TASKS),
}
EXPLOITED = [RELEASED, AnswerForm("source", 2, 1)]


def imperfect(gold: Gold) -> Answer:
    """The right names, boxes a fifth off, every third row missing, a span that is half right."""
    tracks = tuple(
        replace(track, rows=tuple(nudged(row) for number, row in enumerate(track.rows) if number % 3 != 1))
        for track in gold.answer.tracks
    )
    span = gold.answer.span
    return Answer(tracks, span and (span[0], round((span[0] + span[1]) / 2 + 0.2, 1)))


def nudged(row: Row) -> Row:
    time, x1, y1, x2, y2 = row
    return (time, x1 + (x2 - x1) / 5, y1, x2 + (x2 - x1) / 5, y2) if is_visible(row) else row


@pytest.mark.parametrize("temporal_form", ["tiou", "skill"])
@pytest.mark.parametrize("form", EXPLOITED, ids=str)
@pytest.mark.parametrize("exploit", [*ADDING, *REPLACING], ids=lambda exploit: exploit.__name__)
def test_an_exploit_does_not_raise_the_reward_of_a_gold_answer(
    golds: list[Gold], exploit: Exploit, form: AnswerForm, temporal_form: str
) -> None:
    rewards = rewards_of(form, temporal_form=temporal_form)
    lowers, tried = {**ADDING, **REPLACING}[exploit], 0
    for gold in golds[::8]:
        plain = total(rewards, gold.text, gold)
        exploited = total(rewards, exploit(gold.answer, gold), gold)
        assert exploited <= plain + 1e-9
        if form == RELEASED and gold.task in lowers and (gold.task == "temporal" or several_times(gold)):
            assert exploited < plain - 1e-6
            tried += 1
    assert form != RELEASED or not lowers or tried > 20


def several_times(gold: Gold) -> bool:
    """Whether every object is visible at several times: else leaving out all but one leaves out nothing."""
    return all(len({row[0] for row in visible_rows(track)}) > 1 for track in gold.answer.tracks)


# A copy of a wrong box, moved, may be the right box.
WRONG_WHATEVER_IS_THERE = [exploit for exploit in ADDING if exploit is not moved_copies_of_a_track]


@pytest.mark.parametrize("exploit", WRONG_WHATEVER_IS_THERE, ids=lambda exploit: exploit.__name__)
def test_adding_wrong_things_does_not_raise_the_reward_of_an_imperfect_answer(golds: list[Gold], exploit: Exploit) -> None:
    rewards, below = rewards_of(), 0
    for gold in golds[::8]:
        plain = imperfect(gold)
        before = total(rewards, write_answer(plain, gold.task), gold)
        below += before < total(rewards, gold.text, gold) - 0.05
        assert total(rewards, exploit(plain, gold), gold) <= before + 1e-9
    assert below > 100


@given(st.integers(0, 10**6), st.sampled_from(TASKS), st.floats(0, 60), st.booleans())
def test_no_wrong_row_or_name_raises_the_reward(seed: int, task: Task, time: float, named: bool) -> None:
    gold = Gold(random_answer(random.Random(seed), task), task, 60.0)
    plain = imperfect(gold)
    if named:
        text = add_tracks(plain, gold, [Track(WRONG_NAME, (far_box(time),))])
    else:
        text = with_rows(plain, gold, lambda track: [*track.rows, far_box(time)])
    rewards = rewards_of()
    assert total(rewards, text, gold) <= total(rewards, write_answer(plain, task), gold) + 1e-9


@pytest.mark.parametrize("comma_list", [False, True], ids=["an object each", "one list"])
def test_naming_the_whole_vocabulary_does_not_pay(golds: list[Gold], comma_list: bool) -> None:
    vocabulary = sorted({track.name for gold in golds for track in gold.answer.tracks})
    assert len(vocabulary) > 500
    rewards = rewards_of()
    for gold in golds[::60]:
        rows = gold.answer.tracks[0].rows
        tracks = [Track(", ".join(vocabulary), rows)] if comma_list else [Track(name, rows) for name in vocabulary]
        everything = replace(gold.answer, tracks=tuple(tracks))
        plain, exploited = total(rewards, gold.text, gold), total(rewards, write_answer(everything, gold.task), gold)
        assert exploited <= plain + 1e-9
        assert gold.task != "spatial" or exploited < plain - 0.3


# --- the temporal reward ----------------------------------------------------------------------------------------------


def whole_video(gold: Gold) -> str:
    return f"<answer><object>{gold.answer.tracks[0].name}</object><when>[0, {gold.duration}]</when></answer>"


def test_the_whole_video_pays_in_tiou_and_not_in_skill(golds: list[Gold]) -> None:
    """FACTS of the release: "the whole video" as the answer to every question with a span has a high mean tIoU."""
    timed = [gold for gold in golds if gold.task == "temporal"]
    plain, skilled = rewards_of(), rewards_of(temporal_form="skill")
    tious, skills = [], []
    for gold in timed:
        tious.append(plain.scores(whole_video(gold), gold.task, gold.text, *SIZES, gold.duration).temporal)
        skills.append(skilled.scores(whole_video(gold), gold.task, gold.text, *SIZES, gold.duration).temporal)
    assert mean(tious) > 0.5
    below = [skill for tiou, skill in zip(tious, skills, strict=True) if tiou <= 0.95]
    above = [(tiou, skill) for tiou, skill in zip(tious, skills, strict=True) if tiou > 0.95]
    assert len(below) > 300
    assert max(below) <= 1e-9
    assert above
    assert all(tiou == skill for tiou, skill in above)


@pytest.mark.parametrize(
    ("tiou", "span", "duration", "skill"),
    [
        (1.0, (0.0, 5.0), 10.0, 1.0),
        (0.75, (0.0, 5.0), 10.0, 0.5),
        (0.5, (0.0, 5.0), 10.0, 0.0),
        (0.3, (0.0, 5.0), 10.0, 0.0),
        (0.6, (2.0, 4.0), 10.0, 0.5),
        (0.97, (0.0, 9.5), 10.0, 0.4),
        (0.97, (0.0, 9.6), 10.0, 0.97),
        (0.5, (0.0, 12.0), 12.0, 0.5),
        (0.5, (0.0, 12.0), 11.9, 0.5),
        (0.0, (0.0, 5.0), 10.0, 0.0),
    ],
)
def test_skill(tiou: float, span: tuple[float, float], duration: float, skill: float) -> None:
    assert temporal_skill(tiou, Answer((), span), duration) == pytest.approx(skill)


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan"), float("inf")])
def test_skill_without_a_duration_is_an_error(duration: float) -> None:
    gold = Gold("<answer><object>dog</object><when>[0, 2]</when></answer>", "temporal", duration)
    with pytest.raises(RewardError, match="duration"):
        total(rewards_of(temporal_form="skill"), gold.text, gold)
    assert total(rewards_of(), gold.text, gold) == 2.0


# --- weights, columns, logs -------------------------------------------------------------------------------------------

DOG = Gold(
    "<answer>\n<object>dog</object>\n<when>[0.0, 4.0]</when>\n<where>\n0.0: [0.0, 0.0, 10.0, 10.0]\n</where>\n</answer>",
    "spatio_temporal",
    10.0,
)
HALF = DOG.text.replace("[0.0, 4.0]", "[0.0, 2.0]").replace("10.0, 10.0]", "10.0, 4.0]")  # tIoU 1/2, vIoU 2/5


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (RewardWeights(), [1.0, None, 0.25, 0.2]),
        (RewardWeights(temporal_of_spatio_temporal=0.0), [1.0, None, None, 0.2]),
        (RewardWeights(spatial_of_spatio_temporal=0.0), [1.0, None, 0.25, None]),
        (RewardWeights(format=0.0, object_of_spatio_temporal=2.0), [None, 2.0, 0.25, 0.2]),
        (RewardWeights(temporal_of_temporal=9.0, object_of_spatial=9.0, spatial_of_spatial=9.0), [1.0, None, 0.25, 0.2]),
    ],
)
def test_weights_are_by_task_and_0_switches_off(weights: RewardWeights, expected: list[float | None]) -> None:
    functions = rewards_of(weights=weights).functions()
    assert [function.__name__ for function in functions] == list(COMPONENTS)
    values = [function(completions=[HALF], **columns([DOG]))[0] for function in functions]
    assert values == [None if value is None else pytest.approx(value) for value in expected]


def test_the_default_weights_are_those_of_the_paper_by_task() -> None:
    weights = RewardWeights()
    assert {task: [weights.weight(component, task) for component in COMPONENTS] for task in TASKS} == {
        "temporal": [1.0, 0.0, 1.0, 0.0],
        "spatial": [1.0, 0.5, 0.0, 0.5],
        "spatio_temporal": [1.0, 0.0, 0.5, 0.5],
    }


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_a_weight_out_of_range_is_named(weight: float) -> None:
    with pytest.raises(RewardError, match="temporal_of_temporal"):
        RewardWeights(temporal_of_temporal=weight)


def test_a_temporal_form_that_does_not_exist_is_named() -> None:
    with pytest.raises(RewardError, match="'iou'"):
        rewards_of(temporal_form="iou")


def test_completions_are_texts_or_messages() -> None:
    format_reward = rewards_of().functions()[0]
    messages = [{"role": "assistant", "content": DOG.text}]
    assert format_reward(completions=[messages, DOG.text], **columns([DOG, DOG])) == [1.0, 1.0]
    for completion in (None, [None], [{"role": "assistant", "content": None}], 3):
        with pytest.raises(RewardError, match="completion"):
            format_reward(completions=[completion], **columns([DOG]))


def test_what_trl_passes_besides_is_taken() -> None:
    format_reward = rewards_of().functions()[0]
    besides = {"prompts": [[]], "completion_ids": [[1]], "question_id": ["a"], "trainer_state": None, "log_extra": print}
    assert format_reward(completions=[DOG.text], **columns([DOG]), **besides) == [1.0]


def test_columns_of_other_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        rewards_of().functions()[0](completions=[DOG.text, DOG.text], **columns([DOG]))


def test_means_before_weights_are_logged_by_task() -> None:
    temporal = Gold("<answer>\n<object>cat</object>\n<when>[0.0, 4.0]</when>\n</answer>", "temporal", 10.0)
    logged: dict[str, float] = {}
    weights = RewardWeights(temporal_of_spatio_temporal=0.0)
    for function in rewards_of(weights=weights).functions():
        function(completions=[HALF, DOG.text, ""], log_metric=logged.__setitem__, **columns([DOG, DOG, temporal]))
    assert logged == pytest.approx(
        {
            "score/spatio_temporal/format": 1.0,
            "score/temporal/format": 0.0,
            "score/spatio_temporal/object": 1.0,
            "score/temporal/object": 0.0,
            "score/spatio_temporal/temporal": 0.75,
            "score/temporal/temporal": 0.0,
            "score/spatio_temporal/spatial": 0.7,
        }
    )


def test_no_log_is_no_error() -> None:
    assert rewards_of().functions()[0](completions=[HALF], log_metric=None, **columns([DOG])) == [1.0]


class CountingMatcher(NameMatcher):
    """Counts how often names are matched: once a scoring."""

    calls = 0

    def match(self, predicted: Sequence[str], true: Sequence[str]) -> NameMatch:
        self.calls += 1
        return super().match(predicted, true)


def test_a_completion_is_scored_once_for_all_four() -> None:
    names = CountingMatcher(None)
    for function in rewards_of(names=names).functions():
        function(completions=[HALF, HALF, DOG.text], **columns([DOG] * 3))
    assert names.calls == 2


def test_what_is_remembered_depends_on_all_that_matters() -> None:
    rewards = rewards_of(AnswerForm("model", 1, 1), temporal_form="skill")
    seen = {
        rewards.scores(HALF, "spatio_temporal", DOG.text, source, processed, duration)
        for source in ((640, 360), (320, 360))
        for processed in ((640, 360), (640, 400))
        for duration in (20.0, 4.5)
    }
    assert len(seen) == 8
    assert rewards.scores(HALF, "spatial", DOG.text, *SIZES, 10.0).temporal is None
    other = DOG.text.replace("dog", "cat")
    assert rewards.scores(HALF, "spatio_temporal", other, *SIZES, 10.0).object == 0.0


def test_a_truth_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(RewardError, match="the true answer"):
        rewards_of().scores(DOG.text, "temporal", "<answer><object>dog</object>", *SIZES, 10.0)


@pytest.mark.parametrize("sizes", [((640,), (644, 364)), ((640, 360), (0, 364)), (None, (644, 364))])
def test_a_size_that_is_none_is_an_error(sizes: Any) -> None:
    with pytest.raises(ValueError, match="_size"):
        rewards_of().scores(DOG.text, "temporal", DOG.text, *sizes, 10.0)


@given(st.text(), st.sampled_from(TASKS))
def test_any_completion_gets_a_reward_between_0_and_all(text: str, task: Task) -> None:
    truth = random_answer(random.Random(len(text)), task)
    gold = Gold(truth, task, 30.0)
    for wrapped in (text, f"<answer><object>dog</object><where>{text}</where></answer>"):
        assert 0 <= total(rewards_of(temporal_form="skill"), wrapped, gold) <= 2


def test_the_examples_in_docstrings_hold() -> None:
    found = doctest.testmod(rewards_module)
    assert (found.attempted > 0, found.failed) == (True, 0)
