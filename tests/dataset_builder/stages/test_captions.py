"""Captions become subjects: no caption is lost or paid twice, whatever the server, the model or a kill does."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from openai_server import TOKENS_IN
from openai_server import TOKENS_OUT
from openai_server import OpenAIServer
from openai_server import Step
from openai_server import fails
from openai_server import names
from openai_server import refuses
from openai_server import running_openai
from openai_server import says
from scripted_stages import video_row

from r_avst.dataset_builder.pipeline import StageResult
from r_avst.dataset_builder.pipeline import run_here
from r_avst.dataset_builder.pipeline import run_video_stage
from r_avst.dataset_builder.records import Subject
from r_avst.dataset_builder.records import VideoRow
from r_avst.dataset_builder.stages.caption_prompt import INSTRUCTIONS
from r_avst.dataset_builder.stages.caption_prompt import SCHEMA
from r_avst.dataset_builder.stages.caption_prompt import CaptionAnswer
from r_avst.dataset_builder.stages.caption_prompt import CaptionError
from r_avst.dataset_builder.stages.caption_prompt import answer_text
from r_avst.dataset_builder.stages.caption_prompt import parse_subjects
from r_avst.dataset_builder.stages.captions import CaptionStage
from r_avst.dataset_builder.stages.stage import StageError

DOG = Subject("dog", visible=True, audible=True)
ROW = video_row("one")


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def stage_for(server: OpenAIServer, folder: Path, **options: Any) -> CaptionStage:
    return CaptionStage(folder / "captions" / "cache.jsonl", base_url=server.base_url, **options)


def run(stage: CaptionStage, rows: tuple[VideoRow, ...], work: Path, retry_failed: bool = False) -> StageResult:
    return run_video_stage(stage, rows, work, run_here, retry_failed)


def subjects_of(row: VideoRow) -> list[tuple[Subject, ...]]:
    return [event.subjects for event in row.events]


def with_captions(video_id: str, *captions: str | None) -> VideoRow:
    (event,) = video_row(video_id).events
    events = (replace(event, event_id=f"{video_id}-{index}", caption=own) for index, own in enumerate(captions))
    return replace(video_row(video_id), events=tuple(events))


def rows_of(count: int) -> tuple[VideoRow, ...]:
    return tuple(video_row(f"video{number:03}", f"Dog number {number} barks.") for number in range(count))


# --- what is asked, and what comes of it ------------------------------------------------------------------------------


def test_every_event_gets_the_subjects_of_its_caption(tmp_path: Path) -> None:
    answers = {
        "A dog barks at a cat.": names(("dog", "visible & audible"), ("cat", "visible")),
        "Off screen a woman sings.": names(("woman", "audible")),
        "Music plays.": names(),
    }
    with running_openai(default=answers.__getitem__) as server:
        made = stage_for(server, tmp_path).open()(with_captions("one", *answers))
        asked = server.asked
    assert subjects_of(made) == [
        (DOG, Subject("cat", visible=True, audible=False)),
        (Subject("woman", visible=False, audible=True),),
        (),
    ]
    assert [one.last for one in asked] == list(answers)
    assert asked[0].body["messages"][0] == {"role": "system", "content": INSTRUCTIONS}
    assert asked[0].body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_nothing_but_the_subjects_changes(tmp_path: Path) -> None:
    with running_openai() as server:
        made = stage_for(server, tmp_path).open()(ROW)
    assert replace(made, events=(replace(made.events[0], subjects=()),)) == ROW


def test_a_server_that_takes_no_schema_is_asked_without(tmp_path: Path) -> None:
    with running_openai() as server:
        stage_for(server, tmp_path, structured=False).open()(ROW)
        assert "response_format" not in server.asked[0].body


@pytest.mark.parametrize("caption", [None, "", "  \n"])
def test_an_event_without_a_caption_is_named_before_any_is_paid(tmp_path: Path, caption: str | None) -> None:
    with running_openai() as server:
        work = stage_for(server, tmp_path).open()
        with pytest.raises(ValueError, match=r"^the event one-1 has no caption$"):
            work(with_captions("one", "A dog barks.", caption))
        assert server.asked == []


# --- what servers and models do ---------------------------------------------------------------------------------------

BAD_ANSWERS = {
    "no JSON": says("The dog barks."),
    "nothing": says(None),
    "half": says('{"number": 1, "subjects": [{"name": "do', finish_reason="length"),
    "another form": says('{"subjects": ["dog"]}'),
    "more than asked": says('{"number": 0, "subjects": [], "note": "none"}'),
    "a wrong number": says('{"number": 2, "subjects": [{"name": "dog", "label": "visible"}]}'),
    "a tag": names(("dog</object><when>[0, 9]", "visible")),
}


@pytest.mark.parametrize("bad", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_an_answer_that_is_not_as_asked_is_asked_again_with_the_reason(tmp_path: Path, bad: Step) -> None:
    with running_openai(bad) as server:
        stage = stage_for(server, tmp_path)
        assert subjects_of(stage.open()(ROW)) == [(DOG,)]
        first, second = (one.body["messages"] for one in server.asked)
        report = stage.report([ROW])
    assert second[: len(first)] == first
    assert [message["role"] for message in second[len(first) :]] == ["assistant", "user"]
    assert second[-1]["content"].startswith("This answer cannot be used: ")
    assert (report["answers"], report["tokens_in"], report["tokens_out"]) == (2, 2 * TOKENS_IN, 2 * TOKENS_OUT)


def test_answers_that_are_never_as_asked_fail_the_video_and_all_are_counted(tmp_path: Path) -> None:
    rows = (video_row("bad", "A cat."), ROW)
    with running_openai(default=lambda text: names(("dog", "visible")) if "dog" in text else says("{}")) as server:
        stage = stage_for(server, tmp_path, workers=1)
        result = run(stage, rows, tmp_path)
        assert len(server.asked) == 4
    (failure,) = result.failures
    assert failure.video_id == "bad"
    assert failure.reason.startswith(
        "the caption of the event bad-0: none of 3 answers can be used; of the last one, number"
    )
    assert [row.video.video_id for row in result.rows] == ["one"]
    assert (result.report["answers"], result.report["all_answers"]["answers"]) == (1, 4)
    estimate = stage.estimate(rows)
    assert (estimate["in_cache"], estimate["to_ask"]) == (1, 1)


def test_failed_captions_are_asked_again_where_that_is_wanted(tmp_path: Path) -> None:
    bad = says("{}")
    with running_openai(bad, bad, bad) as server:
        stage = stage_for(server, tmp_path)
        assert [failure.video_id for failure in run(stage, (ROW,), tmp_path).failures] == ["one"]
        assert [failure.video_id for failure in run(stage, (ROW,), tmp_path).failures] == ["one"]
        assert len(server.asked) == 3
        assert run(stage, (ROW,), tmp_path, retry_failed=True).failures == ()
        assert len(server.asked) == 4


def test_a_refusal_fails_the_video_and_is_paid_once(tmp_path: Path) -> None:
    with running_openai(refuses("I can't help with that.")) as server:
        stage = stage_for(server, tmp_path)
        for _ in range(2):
            with pytest.raises(CaptionError, match=r"event one-0: the model refuses .*I can't help with that.*cache.jsonl"):
                stage.open()(ROW)
        assert len(server.asked) == 1
        assert stage.estimate([ROW])["to_ask"] == 0


@pytest.mark.parametrize(
    "passing",
    [fails(429, retry_after="1"), fails(500), Step(body="{not json"), Step(drop=True), says("late", seconds=3)],
    ids=["429", "500", "malformed", "dropped", "hang"],
)
def test_a_server_in_trouble_loses_no_caption_and_no_money(tmp_path: Path, passing: Step) -> None:
    with running_openai(passing) as server:
        result = run(stage_for(server, tmp_path, timeout=0.5), (ROW,), tmp_path)
        assert len(server.asked) == 2
    assert subjects_of(result.rows[0]) == [(DOG,)]
    assert result.report["answers"] == 1


def test_a_request_that_breaks_the_server_fails_one_video_only(tmp_path: Path) -> None:
    rows = (video_row("poison", "poison"), ROW)
    with running_openai(
        default=lambda text: fails(500, "boom") if text == "poison" else names(("dog", "visible"))
    ) as server:
        result = run(stage_for(server, tmp_path, max_attempts=1), rows, tmp_path)
    assert [(failure.video_id, "boom" in failure.reason) for failure in result.failures] == [("poison", True)]
    assert len(result.rows) == 1


def test_a_wrong_key_stops_the_run_and_what_was_answered_is_kept(tmp_path: Path) -> None:
    rows = rows_of(6)
    with running_openai(names(("dog", "visible & audible")), default=lambda _: fails(401, "wrong key")) as server:
        with pytest.raises(StageError, match=r"401 .*wrong key.*set OPENAI_API_KEY"):
            run(stage_for(server, tmp_path, workers=1), rows, tmp_path)
        assert len(server.asked) == 2
    with running_openai() as server:
        assert len(run(stage_for(server, tmp_path), rows, tmp_path).rows) == 6
        assert len(server.asked) == 5


# --- no caption is paid twice -----------------------------------------------------------------------------------------


def test_the_same_caption_is_asked_once_by_many_threads(tmp_path: Path) -> None:
    rows = [video_row(f"video{number}", f"Dog {number % 3} barks.") for number in range(24)]
    with running_openai(default=lambda _: names(("dog", "visible & audible"), seconds=0.1)) as server:
        work = stage_for(server, tmp_path).open()
        with ThreadPoolExecutor(12) as pool:
            made = list(pool.map(work, rows))
        assert Counter(one.last for one in server.asked) == {f"Dog {number} barks.": 1 for number in range(3)}
    assert all(subjects_of(row) == [(DOG,)] for row in made)


def test_different_captions_are_asked_at_the_same_time(tmp_path: Path) -> None:
    with running_openai(default=lambda _: names(("dog", "visible"), seconds=0.3)) as server:
        stage = stage_for(server, tmp_path, workers=8)
        run(stage, rows_of(16), tmp_path)
        times = [one.time for one in server.asked]
    assert times[-1] - times[0] < 1.5  # one after the other would take 4.5 s


def test_what_was_answered_before_is_not_asked_again_by_whatever_server(tmp_path: Path) -> None:
    rows = rows_of(5)
    with running_openai() as server:
        first = run(stage_for(server, tmp_path), rows, tmp_path / "a")
    with running_openai() as server:
        assert run(stage_for(server, tmp_path, workers=2), rows, tmp_path / "b").rows == first.rows
        assert server.asked == []


@pytest.mark.parametrize("options", [{"model": "another"}, {"temperature": 0.5}, {"structured": False}])
def test_another_question_is_asked_anew(tmp_path: Path, options: dict[str, Any]) -> None:
    with running_openai() as server:
        for own in ({}, options):
            run(stage_for(server, tmp_path, **own), (ROW,), tmp_path)
        assert len(server.asked) == 2


def test_half_a_line_at_the_end_of_the_cache_costs_that_caption_only(tmp_path: Path) -> None:
    rows = rows_of(3)
    with running_openai() as server:
        stage = stage_for(server, tmp_path, workers=1)
        run(stage, rows, tmp_path / "a")
        whole = stage.cache.read_bytes()
        for cut in (1, 2, 40, len(whole.splitlines()[-1])):
            stage.cache.write_bytes(whole[:-cut])
            del server.asked[:]
            run(stage, rows, tmp_path / f"cut{cut}")
            assert [one.last for one in server.asked] == ["Dog number 2 barks."]
            assert stage.cache.read_bytes() == whole


@pytest.mark.parametrize("line", ["{", '{"key": 1}', "\xff", ""])
def test_a_damaged_line_in_the_cache_is_named(tmp_path: Path, line: str) -> None:
    with running_openai() as server:
        stage = stage_for(server, tmp_path)
        stage.open()(ROW)
        stage.cache.write_bytes(stage.cache.read_bytes() + line.encode("latin-1") + b"\n")
        with pytest.raises(StageError, match=r"cache.jsonl, line 2 is damaged .*remove the line"):
            stage.open()


KILLED = """
import sys
from pathlib import Path
from scripted_stages import video_row
from r_avst.dataset_builder.pipeline import run_here, run_video_stage
from r_avst.dataset_builder.stages.captions import CaptionStage
url, work = sys.argv[1], Path(sys.argv[2])
rows = tuple(video_row(f"video{number:03}", f"Dog number {number} barks.") for number in range(60))
stage = CaptionStage(work / "captions" / "cache.jsonl", base_url=url, workers=4)
run_video_stage(stage, rows, work, run_here, retry_failed=False)
"""


def cached_captions(path: Path) -> list[str]:
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    return [json.loads(line)["caption"] for line in lines]


def wait_for(ready: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not ready():
        assert time.monotonic() < until, "the run does not ask"
        time.sleep(0.005)


def killed_after(server: OpenAIServer, requests: int, work: Path) -> None:
    """Runs the stage in a process of its own and kills it with no warning after so many more requests."""
    before = len(server.asked)
    with subprocess.Popen([sys.executable, "-c", KILLED, server.base_url, str(work)], cwd=Path(__file__).parents[2]) as run:
        wait_for(lambda: len(server.asked) >= before + requests)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL


def test_a_run_that_is_killed_pays_again_at_most_what_was_on_its_way(tmp_path: Path) -> None:
    with running_openai(default=lambda _: names(("dog", "visible & audible"), seconds=0.03)) as server:
        work = tmp_path / "work"
        stage = stage_for(server, work, workers=4)
        for requests in (13, 21):
            killed_after(server, requests, work)
            paid, asked = cached_captions(stage.cache), len(server.asked)
            assert len(paid) > 5
            time.sleep(0.1)  # the server is done with what nobody waits for
        result = run(stage, rows_of(60), work)
        later = {one.last for one in server.asked[asked:]}
        assert later.isdisjoint(paid)
        assert len(server.asked) <= 60 + 2 * 4
        untouched = run(stage_for(server, tmp_path / "other"), rows_of(60), tmp_path / "other")
    assert sorted(cached_captions(stage.cache)) == sorted(f"Dog number {number} barks." for number in range(60))
    assert result == untouched


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_the_report_counts_the_captions_of_its_rows_and_all_that_was_paid(tmp_path: Path) -> None:
    with running_openai() as server:
        stage = stage_for(server, tmp_path, price_in=0.15, price_out=0.60)
        work = stage.open()
        rows = [work(row) for row in (with_captions("a", "Dog 1.", "Dog 2."), with_captions("b", "Dog 1."), ROW)]
        assert stage.report(rows[:2]) == {
            "captions": 2,
            "answers": 2,
            "tokens_in": 200,
            "tokens_out": 20,
            "cost_usd": 0.000042,  # 200 x 0.15 + 20 x 0.60 USD for a million
            "all_answers": {"answers": 3, "tokens_in": 300, "tokens_out": 30, "cost_usd": 0.000063},
            "subjects": {"visible": 0, "audible": 0, "visible & audible": 3},
            "events_without_subjects": [],
        }


def test_events_without_subjects_are_told(tmp_path: Path) -> None:
    with running_openai(names()) as server:
        stage = stage_for(server, tmp_path)
        assert stage.report([stage.open()(ROW)])["events_without_subjects"] == ["one-0"]


@pytest.mark.parametrize(
    ("options", "cost"),
    [
        ({}, 0.15),
        ({"model": "gpt-next"}, None),
        ({"base_url": "http://127.0.0.1:9/v1"}, None),
        ({"model": "gpt-next", "price_in": 2.0, "price_out": 8.0}, 2.0),
        ({"price_in": 2.0, "price_out": 8.0}, 2.0),
        ({"base_url": "http://127.0.0.1:9/v1", "price_in": 0.0, "price_out": 0.0}, 0.0),
    ],
)
def test_the_cost_is_known_for_known_prices_only(tmp_path: Path, options: dict[str, Any], cost: float | None) -> None:
    stage = CaptionStage(tmp_path / "cache.jsonl", **options)
    line = {"key": "k", "model": stage.model, "caption": "c"}
    reply = {"text": "", "refusal": None, "tokens_in": 1_000_000, "tokens_out": 0}
    stage.cache.write_text(json.dumps({**line, "reply": reply}) + "\n")
    assert stage.report([])["all_answers"]["cost_usd"] == cost


def test_the_price_of_openai_is_not_that_of_another_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = CaptionStage(tmp_path / "cache.jsonl")
    assert stage.estimate([ROW])["cost_usd_about"] > 0
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert stage.estimate([ROW])["cost_usd_about"] is None


def test_the_estimate_asks_nothing_and_counts_what_is_not_in_the_cache(tmp_path: Path) -> None:
    rows = rows_of(10)
    stage = CaptionStage(tmp_path / "cache.jsonl")
    before = stage.estimate([*rows, *rows])
    assert (before["captions"], before["in_cache"], before["to_ask"]) == (10, 0, 10)
    letters = len(INSTRUCTIONS) + len(json.dumps(SCHEMA)) + len("Dog number 0 barks.")
    assert before["tokens_in_about"] == 10 * letters // 4
    assert before["tokens_out_about"] == 600
    assert before["cost_usd_about"] == round((before["tokens_in_about"] * 0.15 + 600 * 0.60) / 1e6, 6)
    with running_openai() as server:
        work = replace(stage, base_url=server.base_url).open()
        for row in rows[:4]:
            work(row)
    after = stage.estimate(rows)
    assert (after["in_cache"], after["to_ask"], after["tokens_out_about"]) == (4, 6, 360)


def test_without_a_key_the_stage_says_what_to_do_and_the_estimate_needs_none(tmp_path: Path) -> None:
    stage = CaptionStage(tmp_path / "cache.jsonl")
    assert stage.estimate([ROW])["to_ask"] == 1
    with pytest.raises(StageError, match="set OPENAI_API_KEY"):
        stage.open()


@pytest.mark.parametrize(
    "options", [{"workers": 0}, {"timeout": float("nan")}, {"max_attempts": 0}, {"max_answers": -1}, {"price_in": 1.0}]
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(StageError, match=next(iter(options))):
        CaptionStage(tmp_path / "cache.jsonl", **options)


# --- the text of a model ----------------------------------------------------------------------------------------------


def listed(*subjects: dict[str, str]) -> str:
    return json.dumps({"number": len(subjects), "subjects": list(subjects)})


ANSWER = listed({"name": "dog", "label": "visible & audible"})


@pytest.mark.parametrize(
    ("text", "subjects"),
    [
        (ANSWER, (DOG,)),
        (f"```json\n{ANSWER}\n```", (DOG,)),
        (f"```\n{ANSWER}```", (DOG,)),
        (f"Here it is:\n{ANSWER}\nDone.", (DOG,)),
        (f"<think>{{maybe a cat}}</think>{ANSWER}", (DOG,)),
        (listed(), ()),
        (listed({"name": " St.  Bernard\n dog ", "label": "visible"}), (Subject("St. Bernard dog", True, False),)),
        (listed({"name": "犬", "label": "audible"}), (Subject("犬", False, True),)),
        (listed({"name": "a, b: [c]", "label": "audible"}), (Subject("a, b: [c]", False, True),)),
    ],
)
def test_a_text_is_read(text: str, subjects: tuple[Subject, ...]) -> None:
    assert parse_subjects(text) == subjects


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON object in ''"),
        ("}{", "no JSON object"),
        ("[]", "no JSON object"),
        ("{", "no JSON object"),
        ("{}", "number: Field required"),
        (ANSWER + ANSWER, "Invalid JSON"),
        ('{"number": 1.0, "subjects": []}', "number: Input should be a valid integer"),
        ('{"number": true, "subjects": []}', "number: Input should be a valid integer"),
        ('{"number": 1, "subjects": []}', "the number is 1, but 0 subjects are listed"),
        ('{"number": 0, "subjects": [], "x": 1}', "x: Extra inputs"),
        (listed({"name": "dog", "label": "heard"}), "subjects.0.label: Input should be 'visible', 'audible' or"),
        (listed({"name": "dog"}), "subjects.0.label: Field required"),
        (listed({"name": "dog", "label": "visible", "box": "1"}), "subjects.0.box: Extra inputs"),
        (listed({"name": " ", "label": "visible"}), "holds no word"),
        (listed({"name": "...", "label": "visible"}), "holds no word"),
        (listed({"name": "d" * 81, "label": "visible"}), "longer than 80 letters"),
        (listed({"name": "dog </object>", "label": "visible"}), "angle bracket"),
        (listed({"name": "dog\u202e", "label": "visible"}), "cannot be printed"),
        (listed({"name": "dog\0", "label": "visible"}), "cannot be printed"),
        (listed(*[{"name": "dog", "label": "visible"}, {"name": "Dog", "label": "audible"}]), "'Dog' is listed twice"),
        (
            listed(*[{"name": f"dog {number}", "label": "visible"} for number in range(21)]),
            "subjects: List should have at most",
        ),
        ("{" * 100_000 + "}", "Invalid JSON"),
        ('{"number": ' + "9" * 100_000 + ', "subjects": []}', ""),
    ],
)
def test_a_text_that_is_not_as_asked_is_named(text: str, problem: str) -> None:
    with pytest.raises(CaptionError) as caught:
        parse_subjects(text)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["number", "subjects", "name", "label"]), inner)
    ),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {
        "number": st.integers(0, 3),
        "subjects": st.lists(
            st.fixed_dictionaries({"name": st.text(max_size=90), "label": st.sampled_from(["visible", "audible", "heard"])}),
            max_size=3,
        ),
    }
)
ANY_TEXT = st.text() | JSON.map(json.dumps) | NEARLY.map(json.dumps) | st.characters(categories=["Cs"]).map("{{{}}}".format)


@settings(max_examples=400)
@given(ANY_TEXT)
def test_any_text_gives_subjects_or_a_named_error(text: str) -> None:
    try:
        subjects = parse_subjects(text)
    except CaptionError:
        return
    for subject in subjects:
        assert subject.visible or subject.audible
        assert 0 < len(subject.name) <= 80
        assert not set(subject.name) & set("<>\n\r\t\0")
    assert len({subject.name.casefold() for subject in subjects}) == len(subjects)


GOOD_NAMES = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9',.\-éß犬]| (?! )){0,70}[a-z]", fullmatch=True)
SUBJECTS = st.builds(
    lambda name, kind: Subject(name, *kind), GOOD_NAMES, st.sampled_from([(True, True), (True, False), (False, True)])
)


@given(st.lists(SUBJECTS, max_size=20, unique_by=lambda subject: subject.name.casefold()))
def test_subjects_that_are_written_are_read_back(subjects: list[Subject]) -> None:
    assert parse_subjects(answer_text(subjects)) == tuple(subjects)


def test_the_schema_that_is_sent_is_the_one_that_is_checked() -> None:
    checked = CaptionAnswer.model_json_schema()
    assert bare(SCHEMA) == bare(checked, checked["$defs"])


def bare(schema: Any, definitions: Any = None) -> Any:
    """A schema without titles and references, and without the limits that the checks add."""
    if isinstance(schema, list):
        return sorted(schema)
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return bare(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    left_out = ("title", "description", "maxItems", "$defs")
    return {key: bare(value, definitions) for key, value in schema.items() if key not in left_out}


def test_the_example_in_the_instructions_is_an_answer_as_asked() -> None:
    example = INSTRUCTIONS.split("the answer is\n")[1].splitlines()[0]
    assert [subject.name for subject in parse_subjects(example)] == ["boy", "dog", "woman"]
    assert parse_subjects(INSTRUCTIONS.rsplit("it is ", 1)[1]) == ()
