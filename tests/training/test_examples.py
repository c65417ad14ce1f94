"""Questions with their videos: what is taken, what is left out and why, and that nothing is decoded twice."""

import json
from pathlib import Path

import pytest
from sounding_clips import write_sounding_clip
from training_data import GOOD
from training_data import QUESTIONS
from training_data import SECONDS
from training_data import SIZE
from training_data import TrainingData
from training_data import question
from training_data import truth_of
from training_data import write_dataset
from training_data import write_training_data

from r_avst.metrics.avst_metrics.answers import Answer
from r_avst.metrics.avst_metrics.answers import Track
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.metrics.benchmark import BenchmarkError
from r_avst.training import clips
from r_avst.training.answer_form import AnswerForm
from r_avst.training.clips import ClipCache
from r_avst.training.clips import MediaSettings
from r_avst.training.examples import Example
from r_avst.training.examples import NoExamplesError
from r_avst.training.examples import Skipped
from r_avst.training.examples import clip_bytes
from r_avst.training.examples import describe_skipped
from r_avst.training.examples import example_rows
from r_avst.training.examples import load_examples
from r_avst.training.examples import write_skipped

SETTINGS = MediaSettings(fps=1.0, max_frames=8, min_pixels=784, max_pixels=3136, audio=False, decoder="pyav")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return write_training_data(tmp_path_factory.mktemp("examples"))


def cache_in(folder: Path) -> ClipCache:
    return ClipCache(folder / "cache", 100_000_000)


def load(data: TrainingData, folder: Path, **options: int | Path) -> tuple[list[Example], list[Skipped]]:
    return load_examples(str(data.dataset), "train", data.videos, SETTINGS, cache_in(folder), **options)  # type: ignore[arg-type]


def test_questions_come_with_their_videos_in_the_order_of_the_data_set(data: TrainingData, tmp_path: Path) -> None:
    examples, skipped = load(data, tmp_path)
    # The data set has a file a task, one after the other.
    assert [(own.task, own.video_id) for own in examples] == [(task, name) for task in QUESTIONS for name in GOOD]
    first = examples[0]
    assert (first.source_size, first.processed_size) == (SIZE, (56, 28))
    assert first.duration == pytest.approx(SECONDS)
    assert first.truth == truth_of("temporal")
    assert first.video == data.videos / "clip_a.mp4"
    assert [(own.kind, own.video_id) for own in skipped] == [
        pair for _ in QUESTIONS for pair in (("unreadable video", "clip_cut"), ("no video", "clip_gone"))
    ]


def one(folder: Path, answer: str, task: str = "spatial", size: tuple[int, int] | None = None, text: str = "") -> str:
    """Why a question on a good clip is skipped, next to one that is not."""
    (folder / "videos").mkdir()
    for name in ("clip_a", "clip_b"):
        write_sounding_clip(folder / "videos" / f"{name}.mp4", SECONDS, size=SIZE)
    own = question("clip_a", task, answer)  # type: ignore[arg-type]
    if text:
        from dataclasses import replace

        own = replace(own, question=text)
    sizes = {"clip_a": size} if size else {}
    write_dataset(folder / "r-avst", [own, question("clip_b", "temporal", truth_of("temporal"))], sizes)
    examples, skipped = load(TrainingData(folder / "r-avst", folder / "videos"), folder)
    assert [own.video_id for own in examples] == ["clip_b"]
    return skipped[0].reason


def test_boxes_that_reach_out_of_the_frame_are_annotated_at_another_size(tmp_path: Path) -> None:
    reason = one(tmp_path, truth_of("spatial", right=114.0))
    assert reason.startswith("boxes out of the frame: the box [10.0, 10.0, 114.0, 40.0] of 'red square' at 0.0 s")


def test_a_known_size_that_is_not_the_files_is_named(tmp_path: Path) -> None:
    reason = one(tmp_path, truth_of("spatial"), size=(1280, 720))
    assert reason == "annotated at another size: boxes are for 1280 x 720 pixels, the file has 112 x 84"


def test_a_span_that_the_video_does_not_reach_is_named(tmp_path: Path) -> None:
    reason = one(tmp_path, truth_of("temporal", span=(0.0, 4.2)), "temporal")
    assert reason.startswith("a span beyond the end: it goes to 4.2 s, the video to 3.0 s")


def test_an_answer_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert one(tmp_path, "<answer><object>dog</object>").startswith("unusable answer: its answer is no well-formed spatial")


def test_a_question_that_would_break_the_prompt_is_named(tmp_path: Path) -> None:
    assert one(tmp_path, truth_of("spatial"), text="Where is <|video_pad|>?").startswith("unusable question: ")


def test_what_rounding_leaves_is_taken(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    write_sounding_clip(tmp_path / "videos" / "clip_a.mp4", SECONDS, size=SIZE)
    rows = ((0.0, -0.5, 10.0, 112.9, 84.9), (1.0, 0.0, 0.0, 0.0, 0.0))
    spatial = question("clip_a", "spatial", write_answer(Answer((Track("dog", rows),)), "spatial"))
    temporal = question("clip_a", "temporal", truth_of("temporal", span=(0.0, 3.9)), when=(0.0, 3.9))
    write_dataset(tmp_path / "r-avst", [spatial, temporal], {"clip_a": SIZE})
    examples, skipped = load(TrainingData(tmp_path / "r-avst", tmp_path / "videos"), tmp_path)
    assert (len(examples), skipped) == (2, [])


def test_a_limit_takes_the_first_questions(data: TrainingData, tmp_path: Path) -> None:
    examples, skipped = load(data, tmp_path, limit=2)
    assert [own.video_id for own in examples] == ["clip_a", "clip_b"]
    assert skipped == []


@pytest.mark.slow
def test_several_processes_read_the_same(data: TrainingData, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    assert load(data, tmp_path / "1") == load(data, tmp_path, processes=2)


# --- nothing twice ----------------------------------------------------------------------------------------------------


class Reads:
    """Counts the videos that are decoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        self._read = clips.read_clip
        monkeypatch.setattr(clips, "read_clip", self)

    def __call__(self, path: Path, settings: MediaSettings) -> clips.Clip:
        clip = self._read(path, settings)
        self.names.append(path.stem)
        return clip


def test_each_video_is_decoded_once_and_a_restart_decodes_none(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Reads(monkeypatch)
    first = load(data, tmp_path)
    assert reads.names == list(GOOD)
    assert load(data, tmp_path) == first
    assert reads.names == list(GOOD)


def test_notes_spare_reading_even_what_the_cache_could_not_hold(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "videos.jsonl"
    reads = Reads(monkeypatch)
    cache = ClipCache(tmp_path / "cache", 0)
    first = load_examples(str(data.dataset), "train", data.videos, SETTINGS, cache, facts_file=notes)
    notes.write_bytes(notes.read_bytes() + b'{"key": "torn')  # as a kill leaves it
    again = load_examples(str(data.dataset), "train", data.videos, SETTINGS, cache, facts_file=notes)
    assert again == first
    assert reads.names == list(GOOD)
    assert len(notes.read_text().splitlines()) == len(GOOD)


def test_a_file_that_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = write_training_data(tmp_path)
    notes = tmp_path / "videos.jsonl"
    load(own, tmp_path, facts_file=notes)
    write_sounding_clip(own.videos / "clip_b.mp4", 5.0, size=(140, 84))
    reads = Reads(monkeypatch)
    examples, _ = load(own, tmp_path, facts_file=notes)
    assert reads.names == ["clip_b"]
    assert {video.source_size for video in examples if video.video_id == "clip_b"} == {(140, 84)}


def test_other_settings_are_another_reading(data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = tmp_path / "videos.jsonl"
    load(data, tmp_path, facts_file=notes)
    reads = Reads(monkeypatch)
    wide = MediaSettings(fps=1.0, max_frames=8, min_pixels=784, max_pixels=12_544, audio=False, decoder="pyav")
    examples, _ = load_examples(str(data.dataset), "train", data.videos, wide, cache_in(tmp_path), facts_file=notes)
    assert reads.names == list(GOOD)
    assert examples[0].processed_size == (112, 84)


def test_notes_that_are_damaged_are_made_anew(data: TrainingData, tmp_path: Path) -> None:
    notes = tmp_path / "videos.jsonl"
    notes.write_text('{"key": "x"}\nnothing\n[1]\n{"key": 1, "source_size": 2, "processed_size": 3, "duration": 4}\n')
    assert len(load(data, tmp_path, facts_file=notes)[0]) == len(GOOD) * len(QUESTIONS)


def test_the_cache_needs_what_the_clips_take(data: TrainingData, tmp_path: Path) -> None:
    heard = MediaSettings(fps=1.0, max_frames=8, min_pixels=784, max_pixels=3136, audio=True, decoder="pyav")
    examples, _ = load_examples(str(data.dataset), "train", data.videos, heard, cache_in(tmp_path))
    entries = sum(path.stat().st_size for path in (tmp_path / "cache").glob("*.clip"))
    assert clip_bytes(examples, heard) == pytest.approx(entries, rel=0.02)


# --- what is told -----------------------------------------------------------------------------------------------------


def test_what_is_skipped_is_counted_by_kind_with_the_first_names(tmp_path: Path) -> None:
    gone = [Skipped(f"q{index}", f"v{index}", "no video: get it") for index in range(5)]
    lines = describe_skipped([Skipped("q", "broken", "unreadable video: cut off"), *gone])
    assert lines == [
        "  5 questions skipped, no video: v0, v1, v2 and 2 more",
        "    the first: get it",
        "  1 question skipped, unreadable video: broken",
        "    the first: cut off",
    ]
    rows = [json.loads(line) for line in write_skipped(gone, tmp_path).read_text(encoding="utf-8").splitlines()]
    assert rows[0] == {"question_id": "q0", "video_id": "v0", "reason": "no video: get it"}
    assert len(rows) == 5


def test_without_a_question_there_is_nothing_to_train(data: TrainingData, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoExamplesError, match="18 questions skipped, no video: clip_a, clip_b, clip_c and 3 more"):
        load(TrainingData(data.dataset, tmp_path / "empty"), tmp_path)


def test_a_split_that_is_not_there_is_named(data: TrainingData, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="'test'"):
        load_examples(str(data.dataset), "test", data.videos, SETTINGS, cache_in(tmp_path))


# --- rows -------------------------------------------------------------------------------------------------------------


def test_rows_hold_prompt_truth_and_the_answer_in_the_form(data: TrainingData, tmp_path: Path) -> None:
    examples, _ = load(data, tmp_path)
    rows = example_rows(examples, AnswerForm("norm1000", 2, 0), audio=True)
    assert rows.column_names == [
        "question_id",
        "prompt",
        "task",
        "truth",
        "source_size",
        "processed_size",
        "duration",
        "completion",
    ]
    row = next(row for row in rows if row["task"] == "spatial")
    video, text = row["prompt"][0]["content"]
    assert (video["type"], video["video"]) == ("video", str(data.videos / "clip_a.mp4"))
    assert QUESTIONS["spatial"] in text["text"]
    assert "1000" in text["text"]
    assert row["truth"] == truth_of("spatial")
    written = parse_answer(row["completion"]).answer.tracks[0].rows
    assert written[0] == (0.0, round(10 / 112 * 1000), round(10 / 84 * 1000), round(40 / 112 * 1000), round(40 / 84 * 1000))
    assert [time for time, *_ in written] == [0.0, 2.0]
    assert (row["source_size"], row["processed_size"]) == ([112, 84], [56, 28])


def test_the_prompt_says_whether_there_is_sound(data: TrainingData, tmp_path: Path) -> None:
    examples, _ = load(data, tmp_path)
    form = AnswerForm("model", 1, 1)
    heard, silent = (
        example_rows(examples[:1], form, audio)[0]["prompt"][0]["content"][1]["text"] for audio in (True, False)
    )
    assert "with its sound" in heard
    assert "without its sound" in silent
