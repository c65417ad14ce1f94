"""The files of predictions: what a line holds, what is filled in, how a run goes on, how parts become one."""

import json
import multiprocessing
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import is_well_formed
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.coordinates import to_source
from r_avst.training.answer_form import AnswerForm
from r_avst.training.answer_form import answer_text
from r_avst.training.asking import Reply
from r_avst.training.asking import Unanswered
from r_avst.training.prediction_rows import PredictionFileError
from r_avst.training.prediction_rows import PredictionWriter
from r_avst.training.prediction_rows import Shard
from r_avst.training.prediction_rows import failures_file
from r_avst.training.prediction_rows import join_parts
from r_avst.training.prediction_rows import part_file
from r_avst.training.prediction_rows import prediction_row
from r_avst.training.prediction_rows import read_done
from r_avst.training.prediction_rows import scored_text
from r_avst.training.prediction_rows import written_files

FORM = AnswerForm("model", 1, 1)
SETTINGS = {"model": "some", "fps": 2.0, "extra_body": {"top_k": 3}, "attn": None}
TEXT = "<answer>\n<object>dog</object>\n<when>[0.0, 2.0]</when>\n</answer>"
NAMES = [f"q{number}" for number in range(6)]
TASKS: dict[str, Task] = dict.fromkeys(NAMES, "temporal")
REPLY = Reply("q0", TEXT, "model", (640, 360), (644, 364), 2.0, (0.0, 0.5), 100, 10, "stop")


def reply(name: str, text: str = TEXT) -> Reply:
    return replace(REPLY, question_id=name, text=text)


def write(path: Path, results: Sequence[Reply | Unanswered], settings: Any = SETTINGS) -> None:
    with PredictionWriter(path, FORM, settings, TASKS) as writer:
        for own in results:
            writer.write(own)


def ids(path: Path) -> list[str]:
    return [json.loads(line)["question_id"] for line in path.read_text(encoding="utf-8").splitlines()]


# --- a line -----------------------------------------------------------------------------------------------------------


def test_a_line_says_all_that_is_needed_to_score_it_again() -> None:
    row = prediction_row(REPLY, "temporal", FORM, SETTINGS)
    assert json.loads(json.dumps(row)) == {
        "question_id": "q0",
        "text": TEXT,
        "coordinate_space": "model",
        "processed_size": [644, 364],
        "frame_size": [640, 360],
        "raw_text": TEXT,
        "fps": 2.0,
        "frame_times": [0.0, 0.5],
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "finish": "stop",
        "settings": SETTINGS,
    }
    other = prediction_row(replace(REPLY, coordinate_space="norm1000", processed_size=None), "temporal", FORM, SETTINGS)
    assert "processed_size" not in other


TRUTH = Answer((Track("dog", tuple((float(t), 10.0 + 4 * t, 20.0, 200.0 + 4 * t, 300.0) for t in range(7))),), (0.0, 6.0))


@pytest.mark.parametrize("space", ["model", "norm1000", "source"])
@pytest.mark.parametrize("every", [1, 2, 3])
def test_what_was_left_out_between_two_lines_is_filled_for_the_score(space: Any, every: int) -> None:
    form = AnswerForm(space, every, 0 if space == "norm1000" else 1)
    written = answer_text(TRUTH, "spatio_temporal", form, (640, 360), (644, 364))
    scored = parse_answer(scored_text(written, "spatio_temporal", form))
    assert is_well_formed(scored, "spatio_temporal")
    assert scored.answer.span == (0.0, 6.0)
    back = to_source(scored.answer, space, (640, 360), (644, 364) if space == "model" else None)
    assert sorted(row[0] for row in back.tracks[0].rows) == [float(t) for t in range(7)]
    for row, true in zip(sorted(back.tracks[0].rows), TRUTH.tracks[0].rows, strict=True):
        assert row == pytest.approx(true, abs=0.7)


@pytest.mark.parametrize(
    ("task", "text"),
    [
        (
            "spatio_temporal",
            "<answer><object>dog</object><when>[0, 6]</when><where>0.0: [1, 2, 3, 4]\n2.0: [3, 4, 5, 6]\n4.0:",
        ),
        ("spatio_temporal", "<answer><object>dog</object><where>0.0: [1, 2, 3, 4]\n2.0: [3, 4, 5, 6]</where></answer>"),
        (
            "spatial",
            "<answer><object>a</object><when>[0, 2]</when><where>0.0: [1, 2, 3, 4]\n2.0: [3, 4, 5, 6]</where></answer>",
        ),
        ("spatial", "<where>0.0: [1, 2, 3, 4]\n2.0: [3, 4, 5, 6]</where>"),
        ("spatial", '{"name": "dog", "t": 0, "box": [1, 2, 3, 4]}{"name": "dog", "t": 2, "box": [3, 4, 5, 6]}'),
    ],
    ids=["cut off", "no span", "a span too many", "no object", "json"],
)
def test_filling_makes_no_text_well_formed_that_was_not(task: Task, text: str) -> None:
    parsed, scored = parse_answer(text), parse_answer(scored_text(text, task, AnswerForm("source", 2, 1)))
    assert not is_well_formed(parsed, task)
    assert not is_well_formed(scored, task)
    assert {(1.0, 2.0, 3.0, 4.0, 5.0)} == {row for row in scored.answer.tracks[0].rows if row[0] == 1.0}
    assert [track.name for track in scored.answer.tracks] == [track.name for track in parsed.answer.tracks]
    assert scored.answer.span in (None, parsed.answer.span)


@pytest.mark.parametrize("text", ["", "I do not know.", "<answer><object>dog</object>", "\ud800 <where>\n\x00"])
def test_a_text_without_boxes_stays_as_it_is(text: str) -> None:
    assert scored_text(text, "spatial", AnswerForm("source", 3, 1)) == text


# --- going on ---------------------------------------------------------------------------------------------------------


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    out = tmp_path / "new" / "preds.jsonl"
    write(out, [reply("q0"), Unanswered("q1", "no"), reply("q2", "\ud800 half a pair"), Unanswered("q2", "before")])
    done = read_done(out, SETTINGS)
    assert list(done.rows) == ["q0", "q2"]
    assert done.rows["q2"]["raw_text"] == "\ud800 half a pair"
    assert done.failed == {"q1": "no"}
    assert done.asked == {"q1"}
    assert done.has("q1")
    assert not done.has("q3")


def test_half_a_line_is_none_and_no_line_is_glued_to_it(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    write(out, [reply("q0"), reply("q1"), Unanswered("q2", "no")])
    for path in (out, failures_file(out)):
        path.write_bytes(path.read_bytes()[:-20])
    done = read_done(out, SETTINGS)
    assert (list(done.rows), done.failed) == (["q0"], {})
    write(out, [reply("q1"), Unanswered("q2", "no")])
    assert ids(out) == ["q0", "q1"]
    assert read_done(out, SETTINGS).failed == {"q2": "no"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fps": 1.0}, r"fps was 2.0 and is 1.0"),
        ({"fps": 1.0, "model": "other"}, r"model was 'some' and is 'other'; fps was 2.0 and is 1.0"),
        ({"send": "url"}, r"send was '\(not there\)' and is 'url'"),
        ({"extra_body": {}}, r"extra_body was \{'top_k': 3\} and is \{\}"),
    ],
)
def test_other_settings_are_named_and_change_nothing(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    out = tmp_path / "preds.jsonl"
    write(out, [reply("q0")])
    before = out.read_bytes()
    with pytest.raises(PredictionFileError, match=rf"preds\.jsonl:1: it was written with other settings: {message}\. Give"):
        read_done(out, SETTINGS | change)
    assert out.read_bytes() == before


def test_failures_of_other_settings_are_no_failures_of_these(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    write(out, [Unanswered("q0", "no")])
    assert read_done(out, SETTINGS | {"fps": 1.0}).failed == {}


@pytest.mark.parametrize("line", ["{", "[1]", '{"question_id": 3, "text": "", "settings": {}}', '{"question_id": "q0"}'])
def test_a_file_of_something_else_is_named(tmp_path: Path, line: str) -> None:
    out = tmp_path / "preds.jsonl"
    write(out, [reply("q0")])
    out.write_text(out.read_text() + line + "\n")
    with pytest.raises(PredictionFileError, match=r"preds\.jsonl:2: no (JSON|line of r-avst-predict)"):
        read_done(out, SETTINGS)


def test_two_processes_cannot_write_one_file(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    with PredictionWriter(out, FORM, SETTINGS, TASKS), pytest.raises(PredictionFileError, match="another process"):
        write(out, [])
    write(out, [reply("q0")])


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PredictionFileError, match="cannot be written to"):
        write(tmp_path / "file" / "preds.jsonl", [])


# --- parts ------------------------------------------------------------------------------------------------------------


def test_shards_and_their_shards_share_everything_out() -> None:
    for count, processes in ((1, 3), (4, 1), (3, 2)):
        shards = [Shard(n + 1, count).split(p + 1, processes) for n in range(count) for p in range(processes)]
        owners = [[own for own in shards if own.takes(number)] for number in range(50)]
        assert all(len(own) == 1 for own in owners)
        assert {own.index for (own,) in owners} == set(range(1, count * processes + 1))
        for n in range(count):
            mine = [number for number in range(50) if Shard(n + 1, count).takes(number)]
            parts = [Shard(n + 1, count).split(p + 1, processes) for p in range(processes)]
            assert sorted(number for own in parts for number in range(50) if own.takes(number)) == mine


def test_a_shard_out_of_range_is_refused() -> None:
    for index, count in ((0, 3), (4, 3), (1, 0)):
        with pytest.raises(ValueError, match="from 1 to the second"):
            Shard(index, count)


def test_parts_are_joined_in_the_order_of_the_data_set_when_all_is_there(tmp_path: Path) -> None:
    out = tmp_path / "pre[d]s.jsonl"
    parts = [part_file(out, Shard(index, 2)) for index in (1, 2)]
    write(out, [reply("q4")])
    write(parts[0], [reply("q3"), reply("q0"), reply("q4")])
    assert not join_parts(out, NAMES, SETTINGS).has("q1")
    assert parts[0].exists()
    write(parts[1], [reply("q5"), Unanswered("q1", "broken"), Unanswered("q2", "before"), reply("q2")])
    assert written_files(out) == [out, *parts]
    done = join_parts(out, NAMES, SETTINGS)
    assert ids(out) == ["q0", "q2", "q3", "q4", "q5"]
    assert ids(failures_file(out)) == ["q1"]
    assert done.failed == {"q1": "broken"}
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")} == {
        "pre[d]s.jsonl",
        "pre[d]s.failures.jsonl",
    }
    assert read_done(out, SETTINGS) == done


def test_nothing_is_joined_under_a_process_that_writes(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    parts = [part_file(out, Shard(index, 2)) for index in (1, 2)]
    write(out, [Unanswered(name, "no") for name in NAMES])
    with PredictionWriter(parts[1], FORM, SETTINGS, TASKS) as writer:
        writer.write(reply("q1"))
        write(parts[0], [reply("q0")])
        assert list(join_parts(out, NAMES, SETTINGS).rows) == ["q0", "q1"]
        assert written_files(out) == parts
        writer.write(reply("q3"))
    join_parts(out, NAMES, SETTINGS)
    assert ids(out) == ["q0", "q1", "q3"]
    assert ids(failures_file(out)) == ["q2", "q4", "q5"]
    assert written_files(out) == [out]


def test_a_kill_between_joining_and_removing_loses_and_doubles_nothing(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    parts = [part_file(out, Shard(index, 2)) for index in (1, 2)]
    write(parts[0], [reply(name) for name in NAMES[:3]])
    write(parts[1], [reply(name) for name in NAMES[3:]])
    kept = parts[1].read_bytes()
    join_parts(out, NAMES, SETTINGS)
    parts[1].write_bytes(kept)
    join_parts(out, NAMES, SETTINGS)
    assert ids(out) == NAMES
    assert written_files(out) == [out]


def test_files_of_others_are_let_be(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    others = [tmp_path / name for name in ("preds.part-a.jsonl", "preds2.jsonl", "preds.part-1-of-2.jsonl.bak")]
    for path in others:
        path.write_text("not ours\n")
    write(out, [reply(name) for name in NAMES])
    join_parts(out, NAMES, SETTINGS)
    assert [path.read_text() for path in others] == ["not ours\n"] * 3


def join(out: Path) -> None:
    join_parts(out, NAMES, SETTINGS)


def test_several_processes_that_end_at_once_join_once(tmp_path: Path) -> None:
    out = tmp_path / "preds.jsonl"
    for index in (1, 2):
        write(part_file(out, Shard(index, 2)), [reply(name) for name in NAMES[index - 1 :: 2]])
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=join, args=(out,)) for _ in range(4)]
    for own in started:
        own.start()
    for own in started:
        own.join()
    assert [own.exitcode for own in started] == [0] * 4
    assert ids(out) == NAMES
