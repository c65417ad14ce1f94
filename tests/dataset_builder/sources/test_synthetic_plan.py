"""Plans follow from seed and number, keep to their bounds, and hold what the world promises."""

from collections import Counter
from functools import cache
from itertools import combinations
from itertools import pairwise

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from r_avst.dataset_builder.sources.splits import split_of
from r_avst.dataset_builder.sources.synthetic_plan import CELL
from r_avst.dataset_builder.sources.synthetic_plan import COLUMNS
from r_avst.dataset_builder.sources.synthetic_plan import FPS
from r_avst.dataset_builder.sources.synthetic_plan import ROWS
from r_avst.dataset_builder.sources.synthetic_plan import Actor
from r_avst.dataset_builder.sources.synthetic_plan import Plan
from r_avst.dataset_builder.sources.synthetic_plan import plan_video
from r_avst.dataset_builder.sources.synthetic_things import SILENT
from r_avst.dataset_builder.sources.synthetic_things import SoundingThing

INDICES, SEEDS = st.integers(0, 10_000), st.integers()


@cache
def many() -> tuple[Plan, ...]:
    return tuple(plan_video(index, 0) for index in range(900))


def share(found: int) -> float:
    return found / len(many())


def scene_actors(plan: Plan) -> list[list[Actor]]:
    """The sounding actors of each scene."""
    own = [actor for actor in plan.actors if isinstance(actor.thing, SoundingThing)]
    return [[actor for actor in own if actor.spans[0][0] == scene.span[0]] for scene in plan.scenes]


# --- every plan -------------------------------------------------------------------------------------------------------


@given(INDICES, SEEDS)
def test_a_plan_follows_from_seed_and_number_alone(index: int, seed: int) -> None:
    first = plan_video(index, seed)
    plan_video(index + 1, seed)
    assert plan_video(index, seed) == first
    assert first.split == split_of(first.video_id, seed)


@given(INDICES, SEEDS)
def test_another_seed_or_number_gives_another_clip(index: int, seed: int) -> None:
    ids = {plan.video_id for plan in (plan_video(index, seed), plan_video(index + 1, seed), plan_video(index, seed + 1))}
    assert len(ids) == 3


@given(INDICES, SEEDS)
def test_events_lie_in_the_clip_one_after_another(index: int, seed: int) -> None:
    plan = plan_video(index, seed)
    assert 8 * FPS <= plan.frames <= 60 * FPS
    assert plan.scenes[0].span[0] >= 0
    assert plan.scenes[-1].span[1] <= plan.frames
    assert all(scene.span[1] - scene.span[0] >= 15 for scene in plan.scenes)
    assert all(one.span[1] <= other.span[0] for one, other in pairwise(plan.scenes))


@given(INDICES, SEEDS)
def test_sounding_things_are_on_screen_in_their_event_alone(index: int, seed: int) -> None:
    plan = plan_video(index, seed)
    actors = scene_actors(plan)
    for scene, own in zip(plan.scenes, actors, strict=True):
        assert [actor.thing for actor in own] == list(scene.seen)
        assert all((actor.spans[0][0], actor.spans[-1][1]) == scene.span for actor in own)
    silent = [actor for actor in plan.actors if actor.thing in SILENT]
    assert sum(map(len, actors)) + len(silent) == len(plan.actors)


@given(INDICES, SEEDS)
def test_who_hides_is_away_for_one_to_three_seconds_and_returns(index: int, seed: int) -> None:
    for actor in (actor for own in scene_actors(plan_video(index, seed)) for actor in own):
        assert len(actor.spans) <= 2
        assert all(end - first >= (10 if len(actor.spans) == 2 else 15) for first, end in actor.spans)
        assert all(10 <= other[0] - one[1] <= 30 for one, other in pairwise(actor.spans))


@settings(max_examples=30)
@given(INDICES, SEEDS)
def test_things_stay_in_the_frame_and_never_touch(index: int, seed: int) -> None:
    plan = plan_video(index, seed)
    for frame in range(plan.frames):
        boxes = [(*actor.place(frame), actor.width, actor.height) for actor in plan.actors if actor.drawn(frame)]
        assert all(x >= 0 and x + width <= COLUMNS and y >= 0 and y + height <= ROWS for x, y, width, height in boxes)
        for (x, y, width, height), (other_x, other_y, other_width, other_height) in combinations(boxes, 2):
            apart = (x + width < other_x, other_x + other_width < x, y + height < other_y, other_y + other_height < y)
            assert any(apart)


@settings(max_examples=30)
@given(INDICES, SEEDS)
def test_motion_is_smooth(index: int, seed: int) -> None:
    plan = plan_video(index, seed)
    for actor in plan.actors:
        places = [actor.place(frame) for frame in range(plan.frames)]
        steps = [abs(after[axis] - before[axis]) * CELL for before, after in pairwise(places) for axis in (0, 1)]
        assert max(steps) <= 2 * CELL


# --- the world as a whole ---------------------------------------------------------------------------------------------


def test_durations_and_numbers_of_events_come_evenly() -> None:
    cells = Counter((plan.frames // (20 * FPS), len(plan.scenes)) for plan in many())
    assert cells == {(group, events): 100 for group in range(3) for events in (1, 2, 3)}


def test_many_clips_have_something_that_hides_and_returns() -> None:
    assert 0.4 < share(sum(any(len(actor.spans) == 2 for actor in plan.actors) for plan in many())) < 0.8


def test_some_events_have_two_of_a_name_or_another_or_one_unseen() -> None:
    scenes = [scene for plan in many() for scene in plan.scenes]
    kinds = Counter((len(scene.seen), len(set(scene.seen)), len(scene.unseen)) for scene in scenes)
    assert set(kinds) == {(1, 1, 0), (2, 1, 0), (2, 2, 0), (1, 1, 1)}
    assert min(kinds.values()) > len(scenes) / 10


def test_silent_things_move_or_stand_and_some_come_late_or_leave_early() -> None:
    silent = [(plan, actor) for plan in many() for actor in plan.actors if actor.thing in SILENT]
    assert Counter(sum(actor.thing in SILENT for actor in plan.actors) for plan in many()).keys() == {0, 1, 2}
    for found in (
        sum(actor.places[0] == actor.places[1] for _, actor in silent),
        sum(actor.spans[0][0] > 0 for _, actor in silent),
        sum(actor.spans[0][1] < plan.frames for plan, actor in silent),
    ):
        assert 0.3 < found / len(silent) < 0.7


def test_labels_are_mostly_distinct_and_few_clips_have_too_little_of_events() -> None:
    repeated = sum(len({scene.seen[0] for scene in plan.scenes}) < len(plan.scenes) for plan in many())
    covered = [sum(scene.span[1] - scene.span[0] for scene in plan.scenes) / plan.frames for plan in many()]
    assert 0.05 < share(repeated) < 0.2
    assert 0.005 < share(sum(part < 0.08 for part in covered)) < 0.05


def test_backgrounds_are_dark_or_light_greys_with_a_tinge() -> None:
    greys = Counter(round(sum(plan.background) / 3 / 64) * 64 for plan in many())
    assert greys.keys() == {64, 192}
    assert min(greys.values()) > len(many()) / 3
    assert len({plan.background for plan in many()}) > 300
    assert all(min(abs(part - 64), abs(part - 192)) <= 4 for plan in many() for part in plan.background)
