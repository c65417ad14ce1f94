"""AVE's lines become temporal questions; what cannot be asked about is counted, what is broken is named with its place."""

from pathlib import Path

import pytest

from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.sources import ave
from r_avst.dataset_builder.sources.ave import AveError
from r_avst.dataset_builder.sources.ave import read_ave
from r_avst.dataset_builder.sources.ave import read_lines
from r_avst.dataset_builder.sources.benchmark_records import Note
from r_avst.metrics.avst_metrics.answers import parse_answer

HEADER = "Category&VideoID&Quality&StartTime&EndTime"
# Lines of the published file, among them one that spans nothing and a video with two events.
BELL = "Church bell&MH3m4AwEcRY&good&6&8"
NOTHING = "Church bell&VWi2ENBuTbw&good&0&0"
SPEECH = "Male speech, man speaking&0giAfYq9oVM&good&3&9"
UKULELE = "Ukulele&-mMr3S6543A&good&1&10"
MANDOLIN = "Mandolin&-mMr3S6543A&good&1&10"
FRYING = "Frying (food)&-TD9DSEgRj4&good&2&5"
HELICOPTER = "Helicopter&abcdefghijk&good&0&10"


def written(folder: Path, *lines: str, **splits: tuple[str, ...]) -> Path:
    """Annotations.txt with these lines, and a split file for each keyword."""
    for subset, own in splits.items():
        (folder / f"{subset}Set.txt").write_text("".join(f"{line}\n" for line in own), encoding="utf-8")
    path = folder / "Annotations.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path) -> tuple[Records, tuple[Note, ...]]:
    records, notes, _ = read_ave(path, path.parent)
    return records, notes


def notes_of(path: Path, kind: str) -> list[str]:
    _, notes = read(path)
    return [note.where.removeprefix(f"{path.parent}/") for note in notes if note.kind == kind]


def splits_of(records: Records) -> dict[str, str]:
    return {video.video_id: video.split for video in records.videos}


# --- questions --------------------------------------------------------------------------------------------------------


def test_a_line_is_a_temporal_question(tmp_path: Path) -> None:
    records, _ = read(written(tmp_path, BELL))
    (question,) = records.questions
    assert (question.question_id, question.video_id, question.task) == (
        "MH3m4AwEcRY-0-temporal-0",
        "MH3m4AwEcRY",
        "temporal",
    )
    assert question.question == "When is the moment Church bell makes sound and is visible?"
    assert question.answer == "<answer>\n<object>Church bell</object>\n<when>[6.0, 8.0]</when>\n</answer>"
    assert (question.when, question.query_span, question.event_labels) == ((6.0, 8.0), None, ())
    (event,) = records.events
    assert (event.event_id, event.span, event.labels) == ("MH3m4AwEcRY-0", (6.0, 8.0), ())
    (video,) = records.videos
    assert (video.duration, video.width, video.height) == (10.0, None, None)


@pytest.mark.parametrize("line", [SPEECH, FRYING])
def test_a_category_with_commas_or_brackets_comes_back_whole(tmp_path: Path, line: str) -> None:
    records, _ = read(written(tmp_path, line))
    parsed = parse_answer(records.questions[0].answer)
    assert [track.name for track in parsed.answer.tracks] == [line.split("&")[0]]
    assert not parsed.problems


def test_events_of_one_video_are_numbered_and_share_its_record(tmp_path: Path) -> None:
    records, _ = read(written(tmp_path, UKULELE, BELL, MANDOLIN))
    assert [own.event_id for own in records.events] == ["-mMr3S6543A-0", "MH3m4AwEcRY-0", "-mMr3S6543A-1"]
    assert [own.video_id for own in records.videos] == ["-mMr3S6543A", "MH3m4AwEcRY"]
    assert len({own.question_id for own in records.questions}) == 3


def test_only_an_identical_name_gives_a_label(tmp_path: Path) -> None:
    records, _ = read(written(tmp_path, HELICOPTER, BELL))
    assert [own.event_labels for own in records.questions] == [("helicopter",), ()]
    assert [own.labels for own in records.events] == [("helicopter",), ()]


@pytest.mark.parametrize("text", [f"{HEADER}\n{BELL}\n", f"\ufeff{HEADER}\r\n{BELL}\r\n\r\n", BELL])
def test_a_header_windows_line_ends_and_blank_lines_change_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "Annotations.txt"
    path.write_text(text, encoding="utf-8", newline="")
    assert [line.key for line in read_lines(path)] == [("Church bell", "MH3m4AwEcRY", (6.0, 8.0))]


def test_the_place_of_a_line_counts_the_header(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, "", BELL)
    assert [line.place for line in read_lines(path)] == [f"{path}, line 3"]


# --- splits -----------------------------------------------------------------------------------------------------------


def test_split_files_say_where_a_line_belongs_and_validation_trains(tmp_path: Path) -> None:
    path = written(tmp_path, BELL, SPEECH, FRYING, train=(BELL,), val=(SPEECH,), test=(FRYING,))
    assert splits_of(read(path)[0]) == {"MH3m4AwEcRY": "train", "0giAfYq9oVM": "train", "-TD9DSEgRj4": "test"}
    assert notes_of(path, ave.NO_SPLIT_FILES) == []


def test_without_split_files_all_are_for_testing_and_it_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, BELL, SPEECH)
    assert set(splits_of(read(path)[0]).values()) == {"test"}
    assert notes_of(path, ave.NO_SPLIT_FILES) == [str(tmp_path)]


def test_a_video_that_is_tested_on_trains_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, UKULELE, MANDOLIN, BELL, train=(UKULELE, BELL), val=(), test=(MANDOLIN,))
    records, _ = read(path)
    assert splits_of(records) == {"-mMr3S6543A": "test", "MH3m4AwEcRY": "train"}
    assert [own.objects[0].name for own in records.questions] == ["Mandolin", "Church bell"]
    assert notes_of(path, ave.ALSO_TESTED) == ["Annotations.txt, line 1"]


def test_lines_that_the_files_do_not_share_are_left_out_and_named(tmp_path: Path) -> None:
    path = written(tmp_path, BELL, SPEECH, train=(), val=(), test=(BELL, FRYING))
    assert [own.video_id for own in read(path)[0].questions] == ["MH3m4AwEcRY"]
    assert notes_of(path, ave.NO_SPLIT) == ["Annotations.txt, line 2"]
    assert notes_of(path, ave.ONLY_IN_SPLIT) == ["testSet.txt, line 2"]


def test_a_line_of_several_splits_is_tested_on(tmp_path: Path) -> None:
    path = written(tmp_path, BELL, train=(BELL,), val=(), test=(BELL,))
    assert splits_of(read(path)[0]) == {"MH3m4AwEcRY": "test"}
    assert notes_of(path, ave.SEVERAL_SPLITS) == ["testSet.txt, line 1"]


def test_some_split_files_without_the_others_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AveError, match=r"testSet.txt is there without trainSet.txt, valSet.txt"):
        read(written(tmp_path, BELL, test=(BELL,)))


# --- what is odd ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", [NOTHING, "Bark&abc&good&9&3", "Bark&abc&good&2.01&2.04"])
def test_a_line_without_a_span_is_left_out_and_named(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, line, BELL)
    assert [own.video_id for own in read(path)[0].videos] == ["MH3m4AwEcRY"]
    assert notes_of(path, ave.NO_SPAN) == ["Annotations.txt, line 1"]


def test_a_test_line_without_a_span_does_not_keep_its_video_from_training(tmp_path: Path) -> None:
    empty = "Mandolin&-mMr3S6543A&good&0&0"
    path = written(tmp_path, UKULELE, empty, train=(UKULELE,), val=(), test=(empty,))
    assert splits_of(read(path)[0]) == {"-mMr3S6543A": "train"}


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (("Bark&abc&good&0&11",), ave.OUTSIDE_CLIP),
        (("Bark&abc&bad&0&3",), ave.OTHER_QUALITY),
        ((BELL, BELL), ave.REPEATED_LINE),
    ],
)
def test_other_oddities_are_kept_and_named(tmp_path: Path, lines: tuple[str, ...], kind: str) -> None:
    path = written(tmp_path, *lines)
    assert len(read(path)[0].questions) == len(lines)
    assert notes_of(path, kind) == [f"Annotations.txt, line {len(lines)}"]


def test_a_plain_file_has_no_note_but_that_of_the_splits(tmp_path: Path) -> None:
    _, notes = read(written(tmp_path, BELL, SPEECH, FRYING, UKULELE, MANDOLIN))
    assert [note.kind for note in notes] == [ave.NO_SPLIT_FILES]


# --- what is broken ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Bark&abc&good&0", "is expected, but it is 'Bark&abc&good&0'"),
        ("Bark&abc&good&0&1&2", "is expected"),
        ("Bark,abc,good,0,1", "is expected"),
        ("&abc&good&0&1", "the category ''"),
        ("</object>&abc&good&0&1", "the category '</object>'"),
        ("Bark&&good&0&1", "cannot be the name of a file"),
        ("Bark&../../etc/passwd&good&0&1", "cannot be the name of a file"),
        (f"Bark&{'a' * 200}&good&0&1", "longer than 150 bytes"),
        ("Bark&abc&good&-1&3", "'-1' is no time"),
        ("Bark&abc&good&0&nan", "'nan' is no time"),
        ("Bark&abc&good&0&inf", "'inf' is no time"),
        ("Bark&abc&good&0&1e9", "'1e9' is no time"),
        ("Bark&abc&good&0&99999999", "'99999999' is no time"),
        ("Bark&abc&good&0&٣", "is no time"),
        (f"Bark&abc&good&0&{'9' * 5000}", "is no time"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(AveError) as caught:
        read(written(tmp_path, BELL, line))
    assert f"{tmp_path}/Annotations.txt, line 2: " in str(caught.value)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_broken_line_of_a_split_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AveError, match=r"valSet.txt, line 1"):
        read(written(tmp_path, BELL, train=(), val=("Bark",), test=(BELL,)))


@pytest.mark.parametrize("content", [b"", b"\n\n", f"{HEADER}\n".encode(), f"{NOTHING}\n".encode()])
def test_a_file_with_nothing_to_ask_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "Annotations.txt"
    path.write_bytes(content)
    with pytest.raises(AveError, match="no line of it can be asked about"):
        read(path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"PK\x03\x04\xff"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "Annotations.txt"
    path.write_bytes(content)
    with pytest.raises(AveError, match="cannot be read"):
        read(path)
