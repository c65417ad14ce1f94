"""The parser is total and loses nothing; the writer gives back what was read."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_texts import HOSTILE
from hypothesis import given
from hypothesis import strategies as st
from perturb import perturbed
from perturb import random_answer

from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Row
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.answers import is_well_formed
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.answers import write_answer

DOG_AND_CAT = """\
<answer>
<object>dog</object>
<where>
0.0: [10.0, 20.0, 50.0, 80.0]
1.0: [0.0, 0.0, 0.0, 0.0]
</where>
<object>a large, round cat</object>
<where>
</where>
</answer>"""
DOG_ROWS: tuple[Row, ...] = ((0.0, 10.0, 20.0, 50.0, 80.0), (1.0, 0.0, 0.0, 0.0, 0.0))


def problems_of(text: str) -> list[str]:
    return [problem.kind for problem in parse_answer(text).problems]


def own_answers() -> list[tuple[str, Task]]:
    """Answers to test with where the released ones are absent."""
    rng = random.Random(0)
    return [(random_answer(rng, task), task) for task in TASKS for _ in range(60)]


@pytest.fixture(params=["own", "released"])
def answers(request: pytest.FixtureRequest) -> list[tuple[str, Task]]:
    return own_answers() if request.param == "own" else request.getfixturevalue("released_answers")


# --- round trip -------------------------------------------------------------------------------------------------------


def test_reads_the_unified_format() -> None:
    parsed = parse_answer(DOG_AND_CAT)
    assert parsed.answer == Answer((Track("dog", DOG_ROWS), Track("a large, round cat")), None)
    assert parsed.problems == ()
    assert [is_visible(row) for row in DOG_ROWS] == [True, False]


def test_every_answer_is_written_back_byte_for_byte(answers: list[tuple[str, Task]]) -> None:
    for text, task in answers:
        parsed = parse_answer(text)
        assert parsed.problems == ()
        assert is_well_formed(parsed, task)
        assert write_answer(parsed.answer, task) == text


def test_all_released_rows_are_read(released_answers: list[tuple[str, Task]]) -> None:
    rows = [row for text, _ in released_answers for track in parse_answer(text).answer.tracks for row in track.rows]
    assert len(released_answers) == 1638
    assert len(rows) == 30737
    assert sum(not is_visible(row) for row in rows) == 2966


@pytest.mark.parametrize(
    ("answer", "task", "message"),
    [
        (Answer(), "spatial", "at least one object"),
        (Answer((Track("dog"),)), "temporal", "needs a span"),
        (Answer((Track("dog"),)), "spatio_temporal", "needs a span"),
        (Answer((Track("dog</object>"),)), "spatial", "holds a tag"),
    ],
)
def test_writer_refuses_what_could_not_be_read_back(answer: Answer, task: Task, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_answer(answer, task)


decimals = st.integers(-5000, 50000).map(lambda tenths: tenths / 10)
sides = st.integers(1, 9000)
boxes = st.tuples(st.integers(-5000, 9000), st.integers(-5000, 9000), sides, sides).map(
    lambda box: (box[0] / 10, box[1] / 10, (box[0] + box[2]) / 10, (box[1] + box[3]) / 10)
)
rows_strategy = st.lists(
    st.tuples(decimals, st.one_of(boxes, st.just((0.0, 0.0, 0.0, 0.0)))).map(lambda row: (row[0], *row[1])), max_size=6
)
names_strategy = st.text(
    st.characters(exclude_characters="<>", exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12
)


@given(st.lists(st.tuples(names_strategy, rows_strategy), min_size=1, max_size=4), decimals, st.integers(1, 500))
def test_what_is_written_is_read_back(tracks: list, start: float, tenths: int) -> None:
    end = round(start + tenths / 10, 1)
    answer = Answer(tuple(Track(name, tuple(rows)) for name, rows in tracks), (start, end))
    assert parse_answer(write_answer(answer, "spatio_temporal")).answer == answer
    spatial = Answer(answer.tracks, None)
    assert parse_answer(write_answer(spatial, "spatial")).answer == spatial


# --- total ------------------------------------------------------------------------------------------------------------

TAGS = ["<answer>", "</answer>", "<object>", "</object>", "<when>", "</when>", "<where>", "</where>", "<think>", "</think>"]
SIGNS = ["[", "]", "{", "}", '"', "\\", ":", ",", "0.0", "-1", "nan", "1e999", " ", "\n", "```json", "\x00", "é", "\ud800"]
WORDS = ["0.0: [1, 2, 3, 4]", '"t": 0', '"box": [1, 2, 3, 4]', '"label": "dog"', "dog"]
fragments = st.sampled_from(TAGS + SIGNS + WORDS)


@given(st.one_of(st.text(), st.lists(fragments, max_size=40).map("".join)))
def test_any_text_gives_an_answer_of_finite_numbers(text: str) -> None:
    answer = parse_answer(text).answer
    for track in answer.tracks:
        for row_time, x1, y1, x2, y2 in track.rows:
            assert abs(row_time) < float("inf")
            assert (x1 < x2 and y1 < y2) or x1 == y1 == x2 == y2 == 0
    assert answer.span is None or answer.span[0] < answer.span[1]


def test_the_time_of_hostile_text_grows_with_its_length() -> None:
    """In a process of its own: measuring coverage in this one slows the parser down. Quadratic would be 64 times."""
    script = Path(__file__).parents[2] / "hostile_texts.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)
    grown = {name: whole / eighth for name, (eighth, whole) in json.loads(done.stdout).items()}
    assert grown.keys() == HOSTILE.keys()
    assert {name: times for name, times in grown.items() if times > 32} == {}


# --- what real models write -------------------------------------------------------------------------------------------

WHEN = "<when>[1.0, 2.5]</when>"
DOG = Track("dog", ((0.0, 1.0, 2.0, 3.0, 4.0),))
DOG_TEXT = "<object>dog</object><where>0.0: [1, 2, 3, 4]</where>"
CAT_TEXT = "<object>cat</object><where>0.0: [5, 6, 7, 8]</where>"
CAT = Track("cat", ((0.0, 5.0, 6.0, 7.0, 8.0),))


@pytest.mark.parametrize(
    ("text", "answer", "problems"),
    [
        ("", Answer(), ["answer_tag", "nothing_found"]),
        ("I can't see it.", Answer(), ["answer_tag", "nothing_found"]),
        (f"<answer>{DOG_TEXT}</answer>", Answer((DOG,)), []),
        (f"<ANSWER>{DOG_TEXT.upper().replace('DOG', 'dog')}</ANSWER>", Answer((DOG,)), []),
        (f"<think>a <object>cow</object></think><answer>{DOG_TEXT}</answer>", Answer((DOG,)), []),
        (f"<think>so the answer is <answer>{DOG_TEXT}</answer></think>", Answer((DOG,)), []),
        (f"Sure!\n```xml\n<answer>{DOG_TEXT}</answer>\n```", Answer((DOG,)), []),
        (DOG_TEXT, Answer((DOG,)), ["answer_tag"]),
        (f"</answer>{DOG_TEXT}<answer>", Answer((DOG,)), ["outside_answer"]),
        (f"<answer></answer>{DOG_TEXT}", Answer((DOG,)), ["outside_answer"]),
        (f"I use <object> tags.<answer>{DOG_TEXT}</answer>", Answer((DOG,)), ["unclosed_tag", "outside_answer"]),
        (f"<answer>{DOG_TEXT}</answer>{CAT_TEXT}", Answer((DOG,)), ["outside_answer"]),
        (
            "<answer><object>dog</object><where>01:30: [1, 2, 3, 4]</where></answer>",
            Answer((Track("dog"),)),
            ["unreadable_row"],
        ),
        (
            "<answer><object>dog</object><where>1-2: [1, 2, 3, 4]</where></answer>",
            Answer((Track("dog"),)),
            ["unreadable_row"],
        ),
        (f"<answer>{WHEN}<object>dog</object></answer>", Answer((Track("dog"),), (1.0, 2.5)), []),
        (f"<answer>{DOG_TEXT}{CAT_TEXT}</answer>", Answer((DOG, CAT)), []),
        (
            "<answer><where>0.0: [1, 2, 3, 4]</where><object>dog</object>"
            "<where>0.0: [5, 6, 7, 8]</where><object>cat</object></answer>",
            Answer((DOG, CAT)),
            [],
        ),
        (
            "<answer><object>dog</object><object>cat</object>"
            "<where>0.0: [1, 2, 3, 4]</where><where>0.0: [5, 6, 7, 8]</where></answer>",
            Answer((DOG, CAT)),
            [],
        ),
        (
            "<answer><object>cow</object><object>dog</object><where>0: [1,2,3,4]</where></answer>",
            Answer((Track("cow"), DOG)),
            [],
        ),
        (
            "<answer><where>0: [1,2,3,4]</where></answer>",
            Answer((Track("", DOG.rows),)),
            ["where_without_object"],
        ),
        ("<answer><object>dog<where>0 : ( 1,2 , 3,4 )", Answer((DOG,)), ["unclosed_tag", "unclosed_tag", "answer_tag"]),
        ("<answer><object>dog</object><where>0s: [1, 2, 3, 4]</where></answer>", Answer((DOG,)), []),
        (
            "<answer><object>dog</object><where>0: [1, 2, 3, 4], 1: [5, 6</where></answer>",
            Answer((DOG,)),
            ["unreadable_row"],
        ),
        ("<answer><object>dog</object>and<where>0: [1, 2, 3, 4]</where></answer>", Answer((DOG,)), ["stray_text"]),
        ("<answer><object></object><where></where></answer>", Answer(), ["empty_name"]),
        ("<answer><object>dog</object></where></answer>", Answer((Track("dog"),)), ["unopened_tag"]),
        ("<answer><object>dog</object><when>1 to 2.5 s</when></answer>", Answer((Track("dog"),), (1.0, 2.5)), []),
        ("<answer><object>dog</object><when>1.0-2.5</when></answer>", Answer((Track("dog"),), (1.0, 2.5)), []),
        ("<answer><object>dog</object><when>[2.5, 1]</when></answer>", Answer((Track("dog"),)), ["bad_span"]),
        ("<answer><object>dog</object><when>[1, 1]</when></answer>", Answer((Track("dog"),)), ["bad_span"]),
        ("<answer><object>dog</object><when>[nan, 1]</when></answer>", Answer((Track("dog"),)), ["bad_span"]),
        ("<answer><object>dog</object><when>[0, inf]</when></answer>", Answer((Track("dog"),)), ["bad_span"]),
        ("<answer><object>dog</object><when>soon</when></answer>", Answer((Track("dog"),)), ["unreadable_span"]),
        (
            "<answer><object>dog</object><when>[4, 3]</when><when>[1, 2.5]</when><when>[0, 9]</when></answer>",
            Answer((Track("dog"),), (1.0, 2.5)),
            ["bad_span", "repeated_span"],
        ),
        (
            "<answer><object>dog</object><when>[1.0, 2",
            Answer((Track("dog"),)),
            ["unclosed_tag", "answer_tag", "unreadable_span"],
        ),
        ("<answer><object>dog</obj", Answer((Track("dog"),)), ["unclosed_tag", "answer_tag"]),
    ],
)
def test_reads_what_models_write(text: str, answer: Answer, problems: list[str]) -> None:
    assert parse_answer(text).answer == answer
    assert problems_of(text) == problems


@pytest.mark.parametrize(
    "box",
    [
        "nan, 2, 3, 4",
        "1, 2, inf, 4",
        "-inf, 2, 3, 4",
        "3, 2, 1, 4",
        "1, 4, 3, 2",
        "1, 2, 1, 4",
        "1, 2, 3, 2",
        "5, 5, 5, 5",
        "1, 2, 1e999, 4",
    ],
)
def test_a_box_without_a_positive_finite_area_is_a_problem_and_no_row(box: str) -> None:
    text = f"<answer><object>dog</object><where>0: [{box}]\n0: [1, 2, 3, 4]</where></answer>"
    assert parse_answer(text).answer == Answer((DOG,))
    assert problems_of(text) == ["bad_row"]


@pytest.mark.parametrize("when", ["nan", "inf", "-inf", "1e999"])
def test_a_row_at_no_finite_time_is_a_problem_and_no_row(when: str) -> None:
    text = f"<answer><object>dog</object><where>{when}: [1, 2, 3, 4]\n0: [1, 2, 3, 4]</where></answer>"
    assert parse_answer(text).answer == Answer((DOG,))
    assert problems_of(text) == ["bad_row"]


def test_negative_and_huge_boxes_are_kept_as_written() -> None:
    text = "<answer><object>dog</object><where>0: [-5, -6.5, 1e308, 4e2]</where></answer>"
    assert parse_answer(text).answer == Answer((Track("dog", ((0.0, -5.0, -6.5, 1e308, 400.0),)),))


def test_a_problem_quotes_no_more_than_a_line() -> None:
    found = parse_answer("<answer><object>dog</object><where>" + "x" * 1000 + "</where></answer>").problems[0].found
    assert len(found) == 60


# --- dialects: every answer in another dialect is an equal answer -----------------------------------------------------


def flat_json(answer: Answer) -> str:
    items: list[dict] = [{"when": list(answer.span)}] if answer.span else []
    for track in answer.tracks:
        items += [{"t": row[0], "bbox_2d": list(row[1:]), "label": track.name} for row in track.rows] or [
            {"label": track.name}
        ]
    return json.dumps(items)


def nested_json(answer: Answer) -> str:
    when = {"when": list(answer.span)} if answer.span else {}
    objects = [
        {"object": track.name, "where": [{"t": row[0], "box": list(row[1:])} for row in track.rows]}
        for track in answer.tracks
    ]
    return json.dumps({**when, "objects": objects}, indent=2)


def times_as_keys(answer: Answer) -> str:
    """Rows as ``{"0.0": [box]}``; a list of boxes where a time repeats in a row."""
    when = [{"when": list(answer.span)}] if answer.span else []
    objects = []
    for track in answer.tracks:
        times = dict.fromkeys(row[0] for row in track.rows)
        where = {str(time): [list(row[1:]) for row in track.rows if row[0] == time] for time in times}
        objects.append(
            {"object": track.name, "where": {key: own[0] if len(own) == 1 else own for key, own in where.items()}}
        )
    return json.dumps([*when, *objects])


def json_lines(answer: Answer) -> str:
    return "\n".join(json.dumps(item) for item in json.loads(flat_json(answer)))


def json_in_where(answer: Answer) -> str:
    when = f"<when>{list(answer.span)}</when>" if answer.span else ""
    return f"<answer>{when}" + "".join(
        f"<object>{track.name}</object><where>{json.dumps([{'t': row[0], 'box': row[1:]} for row in track.rows])}</where>"
        for track in answer.tracks
    )


def parts_backwards(answer: Answer) -> str:
    """Tags in another order: the rows before their object, the span last."""
    objects = "".join(f"<where>{rows_text(track)}</where><object>{track.name}</object>" for track in answer.tracks)
    return f"<answer>{objects}" + (f"<when>{list(answer.span)}</when>" if answer.span else "") + "</answer>"


def rows_text(track: Track) -> str:
    return "\n".join(f"{row[0]}: {list(row[1:])}" for row in track.rows)


def terse(answer: Answer) -> str:
    """No line breaks, no closing tags, whole numbers without a point."""
    when = "<when>[{:g},{:g}]".format(*answer.span) if answer.span else ""
    return f"<answer>{when}" + "".join(
        f"<object>{track.name}<where>" + ";".join("{:g}:[{:g},{:g},{:g},{:g}]".format(*row) for row in track.rows)
        for track in answer.tracks
    )


def roomy(answer: Answer) -> str:
    when = "< when > [ {} , {} ] </ when >".format(*answer.span) if answer.span else ""
    return (
        f"<think>The {{dog}} [barks].</think>\n```\n<answer>\n {when} \n"
        + "\n".join(
            f"<object> {track.name} </object>\n<where>\n"
            + "\n".join("  {} : [ {} , {} , {} , {} ]  ".format(*row) for row in track.rows)
            + "\n</where>"
            for track in answer.tracks
        )
        + "\n</answer>\n```"
    )


DIALECTS: list[Callable[[Answer], str]] = [
    flat_json, nested_json, json_lines, json_in_where, parts_backwards, terse, roomy,
    lambda answer: f"Here it is:\n```json\n{flat_json(answer)}\n```",
    lambda answer: f"<think>[a] {{b}}</think><answer>{nested_json(answer)}</answer>",
]  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.__name__)
def test_every_answer_in_a_dialect_is_an_equal_answer(dialect, answers: list[tuple[str, Task]]) -> None:
    for text, _ in answers:
        answer = parse_answer(text).answer
        assert parse_answer(dialect(answer)).answer == answer


def test_times_as_keys_keep_every_row(answers: list[tuple[str, Task]]) -> None:
    """Not among the dialects above: an object has its keys once, so times that repeat later move to their first place."""
    for text, _ in answers:
        answer = parse_answer(text).answer
        for found, true in zip(parse_answer(times_as_keys(answer)).answer.tracks, answer.tracks, strict=True):
            assert (found.name, sorted(found.rows)) == (true.name, sorted(true.rows))


# --- cut short --------------------------------------------------------------------------------------------------------


def complete_rows(cut: str) -> list[Row]:
    """The rows that end before the cut, read line by line, without the parser."""
    lines = [line for line in cut.split("\n") if line.endswith("]") and line[:1].isdigit()]
    return [(float(line.split(": ")[0]), *map(float, line.split(": ")[1].strip("[]").split(", "))) for line in lines]


def test_an_answer_cut_anywhere_gives_every_complete_row_before_the_cut(answers: list[tuple[str, Task]]) -> None:
    for text, _ in answers:
        whole = parse_answer(text).answer
        for end in range(0, len(text), 50):
            tracks = parse_answer(text[:end]).answer.tracks
            assert [row for track in tracks for row in track.rows] == complete_rows(text[:end])
            for found, true in zip(tracks[:-1], whole.tracks, strict=False):
                assert found == true


@pytest.mark.parametrize("dialect", [flat_json, nested_json, json_in_where])
def test_json_cut_anywhere_keeps_its_complete_rows(dialect) -> None:
    text = dialect(parse_answer(DOG_AND_CAT).answer)
    for end in range(len(text)):
        rows = [row for track in parse_answer(text[:end]).answer.tracks for row in track.rows]
        closed_objects = text[:end].count("}")
        assert rows == list(DOG_ROWS[: len(rows)])
        assert len(rows) >= min(closed_objects, len(DOG_ROWS))


# --- format -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        (f"<answer><object>dog</object>{WHEN}</answer>", {"temporal"}),
        (f"<answer>{DOG_TEXT}</answer>", {"spatial"}),
        (f"<answer>{DOG_TEXT}{CAT_TEXT}</answer>", {"spatial"}),
        (f"<answer>{WHEN}{DOG_TEXT}</answer>", {"spatio_temporal"}),
        ("<answer><object>dog</object><where>\n</where></answer>", {"spatial"}),
        ("<answer><object>dog</object></answer>", set()),
        (f"<answer>{WHEN}</answer>", set()),
        (f"<object>dog</object>{WHEN}", set()),
        (f"<answer><object>dog</object>{WHEN}{WHEN}</answer>", set()),
        (f"<answer><answer><object>dog</object>{WHEN}</answer>", set()),
        (f"<answer>{DOG_TEXT}<object>cat</object></answer>", set()),
        ("<answer><object>dog</object><where>0: [1, 2, 1, 4]</where></answer>", set()),
        ('<answer>{"object": "dog", "when": [1, 2]}</answer>', set()),
        ("", set()),
    ],
)
def test_format_is_well_formed_for_its_task_alone(text: str, tasks: set[Task]) -> None:
    assert {task for task in TASKS if is_well_formed(parse_answer(text), task)} == tasks


def test_perturbed_answers_stay_readable() -> None:
    rng = random.Random(1)
    for text, task in own_answers():
        assert is_well_formed(parse_answer(text), task)
        assert parse_answer(perturbed(text, rng)).answer.tracks
