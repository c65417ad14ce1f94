"""AVSBench's masks become spatial questions: which times, which boxes, which names, and what is odd or refused."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image
from PIL import ImageDraw

from r_avst.dataset_builder.records import Question
from r_avst.dataset_builder.records import Records
from r_avst.dataset_builder.records import Video
from r_avst.dataset_builder.sources import avsbench
from r_avst.dataset_builder.sources.avsbench import AvsBenchError
from r_avst.dataset_builder.sources.avsbench import Clip
from r_avst.dataset_builder.sources.avsbench import MaskRules
from r_avst.dataset_builder.sources.avsbench import read_avsbench
from r_avst.dataset_builder.sources.avsbench import read_clips
from r_avst.dataset_builder.sources.benchmark_records import Note
from r_avst.dataset_builder.sources.masks import MaskError
from r_avst.metrics.avst_metrics.answers import is_well_formed
from r_avst.metrics.avst_metrics.answers import parse_answer

Rectangles = tuple[tuple[int, int, int, int], ...]
RULES = MaskRules({"s4": "whole", "ms3": "components"}, 0.001, "category")
DOG = "dogdogdog01"
BAND = "bandband001"
S4_HEADER, MS3_HEADER = "name,start,category,split", "name,split"
LEFT, RIGHT = (0, 0, 56, 112), (112, 112, 224, 224)  # x1, y1, x2, y2 in the mask


def write_mask(path: Path, rectangles: Rectangles, size: tuple[int, int] = (224, 224)) -> None:
    image = Image.new("L", size)
    for x1, y1, x2, y2 in rectangles:
        ImageDraw.Draw(image).rectangle((x1, y1, x2 - 1, y2 - 1), fill=255)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write_s4(root: Path, lines: Mapping[str, str], masks: Mapping[str, Mapping[int, Rectangles]]) -> Path:
    """S4's table, ``name: "category,split"``, and the masks of each clip by their numbers."""
    base = root / "Single-source"
    (base / "s4_data/gt_masks").mkdir(parents=True)
    text = "".join(f"{name},0,{line}\n" for name, line in lines.items())
    (base / "s4_meta_data.csv").write_text(f"{S4_HEADER}\n{text}", encoding="utf-8")
    for name, own in masks.items():
        category, split = lines[name].split(",")
        for number, rectangles in own.items():
            write_mask(base / "s4_data/gt_masks" / split / category / name / f"{name}_{number}.png", rectangles)
    return root


def write_ms3(root: Path, lines: Mapping[str, str], masks: Mapping[str, Mapping[int, Rectangles]]) -> Path:
    base = root / "Multi-sources"
    (base / "ms3_data/gt_masks").mkdir(parents=True)
    text = "".join(f"{name},{split}\n" for name, split in lines.items())
    (base / "ms3_meta_data.csv").write_text(f"{MS3_HEADER}\n{text}", encoding="utf-8")
    for name, own in masks.items():
        for number, rectangles in own.items():
            write_mask(base / "ms3_data/gt_masks" / lines[name] / name / f"{name}_{number}.png", rectangles)
    return root


def every(rectangles: Rectangles) -> dict[int, Rectangles]:
    return dict.fromkeys(range(1, 6), rectangles)


def dog(root: Path, masks: Mapping[int, Rectangles], split: str = "test") -> Path:
    return write_s4(root, {DOG: f"dog_barking,{split}"}, {DOG: masks})


def band(root: Path, masks: Mapping[int, Rectangles]) -> Path:
    return write_ms3(root, {BAND: "test"}, {BAND: masks})


def read(
    root: Path, subset: str, rules: MaskRules = RULES, size: tuple[int, int] | None = None
) -> tuple[Records, list[Note]]:
    clips, notes = read_clips(root, (subset,))
    width, height = size or (None, None)
    videos = {clip.name: Video(clip.name, clip.video.split, 5.0, width, height) for clip in clips}
    records, more = read_avsbench(clips, videos, rules)
    return records, [*notes, *more]


def only(root: Path, subset: str, rules: MaskRules = RULES, size: tuple[int, int] | None = None) -> Question:
    (question,) = read(root, subset, rules, size)[0].questions
    return question


def rows(question: Question) -> list[tuple[float, ...]]:
    (track,) = parse_answer(question.answer).answer.tracks
    return list(track.rows)


def kinds(notes: list[Note]) -> dict[str, int]:
    return {kind: count for kind in avsbench.HANDLING if (count := sum(note.kind == kind for note in notes))}


# --- questions --------------------------------------------------------------------------------------------------------


def test_a_clip_is_a_spatial_question_about_its_five_seconds(tmp_path: Path) -> None:
    question = only(dog(tmp_path, every((RIGHT,))), "s4")
    assert (question.question_id, question.video_id) == (f"{DOG}-0-spatial-0", DOG)
    assert (question.task, question.question_type) == ("spatial", "where_sounding")
    assert question.question == "What visible object(s) make sound between 0.0 and 5.0, and where is/are they?"
    assert (question.query_span, question.when) == ((0.0, 5.0), None)
    assert is_well_formed(parse_answer(question.answer), "spatial")
    assert question.event_labels == ("dog barking",)


def test_a_mask_is_at_15_16_of_its_second(tmp_path: Path) -> None:
    """As AVSBench's scripts take the frames: of 16 a second the last, int(l * fps + 15 / 16 * fps) / fps."""
    times = [row[0] for row in rows(only(dog(tmp_path, every((RIGHT,))), "s4"))]
    assert times == [0.9, 1.9, 2.9, 3.9, 4.9]
    for rate in (10, 15, 24, 25, 30, 60):
        frames = [int(second * rate + 15 / 16 * rate) / rate for second in range(5)]
        assert all(abs(frame - time) <= 0.05 for frame, time in zip(frames, times, strict=True))


def test_boxes_are_in_pixels_of_the_video(tmp_path: Path) -> None:
    question = only(dog(tmp_path, every((RIGHT,))), "s4", size=(640, 360))
    assert {row[1:] for row in rows(question)} == {(320.0, 180.0, 640.0, 360.0)}


def test_without_a_video_its_size_is_the_mask_s_and_that_is_told(tmp_path: Path) -> None:
    records, notes = read(dog(tmp_path, every((RIGHT,))), "s4")
    assert [(own.width, own.height) for own in records.videos] == [(224, 224)]
    assert rows(records.questions[0])[0] == (0.9, 112.0, 112.0, 224.0, 224.0)
    assert kinds(notes) == {avsbench.SIZE_OF_MASK: 1}


def test_training_clips_of_s4_have_one_mask_and_are_asked_about_its_second(tmp_path: Path) -> None:
    records, notes = read(dog(tmp_path, {1: (LEFT,)}, split="train"), "s4", size=(224, 224))
    (question,) = records.questions
    assert (records.videos[0].split, question.query_span) == ("train", (0.0, 1.0))
    assert rows(question) == [(0.9, 0.0, 0.0, 56.0, 112.0)]
    assert kinds(notes) == {}


def test_validation_clips_train(tmp_path: Path) -> None:
    records, _ = read(dog(tmp_path, every((LEFT,)), split="val"), "s4")
    assert (records.videos[0].split, records.questions[0].query_span) == ("train", (0.0, 5.0))


def test_sources_of_ms3_are_boxes_of_one_nameless_object(tmp_path: Path) -> None:
    question = only(band(tmp_path, every((LEFT, RIGHT))), "ms3")
    assert [own.name for own in question.objects] == ["sounding object"]
    assert question.event_labels == ()
    assert rows(question)[:3] == [(0.9, 0, 0, 56, 112), (0.9, 112, 112, 224, 224), (1.9, 0, 0, 56, 112)]
    assert [len(frame.instances) for frame in question.objects[0].frames] == [2] * 5


@pytest.mark.parametrize(
    ("which", "boxes"), [("whole", [(0, 0, 224, 224)]), ("components", [(0, 0, 56, 112), (112, 112, 224, 224)])]
)
def test_the_parts_of_one_source_are_one_box_or_several(tmp_path: Path, which: str, boxes: list[tuple[int, ...]]) -> None:
    rules = MaskRules({"s4": which}, 0.001, "category")
    records, notes = read(dog(tmp_path, {1: (LEFT, RIGHT)}, split="train"), "s4", rules, (224, 224))
    assert [row[1:] for row in rows(records.questions[0])] == boxes
    assert kinds(notes) == {avsbench.SEVERAL_PARTS: 1}


def test_specks_are_left_out_and_told(tmp_path: Path) -> None:
    speck = (220, 0, 222, 2)
    records, notes = read(dog(tmp_path, {1: (LEFT, speck)}, split="train"), "s4", size=(224, 224))
    assert rows(records.questions[0]) == [(0.9, 0.0, 0.0, 56.0, 112.0)]
    assert kinds(notes) == {avsbench.SMALL_PART: 1}
    alone = read(dog(tmp_path / "alone", {1: (speck,)}, split="train"), "s4", size=(224, 224))
    assert rows(alone[0].questions[0]) == [(0.9, 220.0, 0.0, 222.0, 2.0)]


@pytest.mark.parametrize(("names", "name"), [("category", "dog barking"), ("thing", "dog")])
def test_names_are_categories_or_things(tmp_path: Path, names: str, name: str) -> None:
    rules = MaskRules(RULES.boxes, 0.001, names)
    assert [own.name for own in only(dog(tmp_path, every((LEFT,))), "s4", rules).objects] == [name]


def test_there_is_a_thing_for_each_category() -> None:
    """The 23 categories of preprocess_s4.py."""
    categories = (
        "baby_laughter female_singing male_speech dog_barking cat_meowing lions_roaring horse_clip-clop coyote_howling "
        "mynah_bird_singing playing_acoustic_guitar playing_tabla playing_violin playing_piano playing_ukulele "
        "playing_glockenspiel helicopter race_car driving_buses ambulance_siren typing_on_computer_keyboard "
        "chainsawing_trees cap_gun_shooting lawn_mowing"
    )
    assert sorted(own.replace("_", " ") for own in categories.split()) == sorted(avsbench.THINGS)


# --- what is odd ------------------------------------------------------------------------------------------------------


def test_a_black_mask_is_a_row_of_zeros(tmp_path: Path) -> None:
    masks = every((LEFT,)) | {3: ()}
    records, notes = read(dog(tmp_path, masks), "s4", size=(224, 224))
    assert rows(records.questions[0])[2] == (2.9, 0.0, 0.0, 0.0, 0.0)
    assert [frame.instances[0].visible for frame in records.questions[0].objects[0].frames] == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert kinds(notes) == {avsbench.EMPTY_MASK: 1}


def test_without_the_last_masks_the_question_is_about_all_seconds(tmp_path: Path) -> None:
    records, notes = read(dog(tmp_path, {1: (LEFT,), 2: (LEFT,)}), "s4", size=(224, 224))
    assert records.questions[0].query_span == (0.0, 5.0)
    assert kinds(notes) == {avsbench.MISSING_MASK: 3}


def test_more_masks_of_a_training_clip_are_used(tmp_path: Path) -> None:
    records, _ = read(dog(tmp_path, {1: (LEFT,), 2: (LEFT,)}, split="train"), "s4", size=(224, 224))
    assert records.questions[0].query_span == (0.0, 2.0)


def test_a_missing_mask_leaves_a_gap_and_is_named(tmp_path: Path) -> None:
    masks = {number: own for number, own in every((LEFT,)).items() if number != 3}
    records, notes = read(dog(tmp_path, masks), "s4", size=(224, 224))
    assert [row[0] for row in rows(records.questions[0])] == [0.9, 1.9, 3.9, 4.9]
    assert records.questions[0].query_span == (0.0, 5.0)
    assert [note.where.split("/")[-1] for note in notes] == [f"{DOG}_3.png"]
    assert kinds(notes) == {avsbench.MISSING_MASK: 1}


def test_a_clip_without_masks_is_left_out_and_named(tmp_path: Path) -> None:
    root = write_s4(tmp_path, {DOG: "dog_barking,test", "cat": "cat_meowing,test"}, {DOG: every((LEFT,))})
    records, notes = read(root, "s4", size=(224, 224))
    assert [own.video_id for own in records.videos] == [DOG]
    assert [note.where.split(", ")[-1] for note in notes if note.kind == avsbench.NO_MASK] == ["line 3: cat"]


def test_colours_count_as_sounding_and_are_told(tmp_path: Path) -> None:
    root = dog(tmp_path, {1: (LEFT,)}, split="train")
    path = root / f"Single-source/s4_data/gt_masks/train/dog_barking/{DOG}/{DOG}_1.png"
    image = Image.new("RGB", (224, 224))
    ImageDraw.Draw(image).rectangle((0, 0, 55, 111), fill=(128, 0, 0))
    ImageDraw.Draw(image).rectangle((56, 0, 99, 111), fill=(0, 64, 0))
    image.save(path)
    records, notes = read(root, "s4", size=(224, 224))
    assert rows(records.questions[0]) == [(0.9, 0.0, 0.0, 100.0, 112.0)]
    assert kinds(notes) == {avsbench.COLOURED_MASK: 1}


def test_a_name_of_both_subsets_is_kept_once_and_named(tmp_path: Path) -> None:
    write_ms3(dog(tmp_path, every((LEFT,))), {DOG: "test"}, {DOG: every((RIGHT,))})
    clips, notes = read_clips(tmp_path, ("s4", "ms3"))
    assert [(clip.name, clip.subset) for clip in clips] == [(DOG, "s4")]
    assert kinds(list(notes)) == {avsbench.REPEATED_NAME: 1}
    assert "ms3_meta_data.csv, line 2" in notes[0].where
    assert [clip.subset for clip in read_clips(tmp_path, ("ms3",))[0]] == ["ms3"]


# --- what is broken ---------------------------------------------------------------------------------------------------


def test_a_video_of_another_shape_is_refused_unless_masks_are_pressed(tmp_path: Path) -> None:
    root = dog(tmp_path, every((LEFT,)))
    path = root / f"Single-source/s4_data/gt_masks/test/dog_barking/{DOG}/{DOG}_4.png"
    write_mask(path, (LEFT,), size=(320, 240))
    with pytest.raises(MaskError, match=f"{DOG}_4.png: the mask is 320 x 240, the video's frames are 640 x 360"):
        read(root, "s4", size=(640, 360))


def test_masks_of_several_sizes_come_into_one_frame(tmp_path: Path) -> None:
    root = dog(tmp_path, {1: (), 2: ()}, split="train")
    folder = root / f"Single-source/s4_data/gt_masks/train/dog_barking/{DOG}"
    write_mask(folder / f"{DOG}_1.png", ((0, 0, 160, 90),), size=(320, 180))
    write_mask(folder / f"{DOG}_2.png", ((0, 0, 320, 180),), size=(640, 360))
    assert [row[1:] for row in rows(only(root, "s4"))] == [(0.0, 0.0, 160.0, 90.0)] * 2


def test_a_damaged_mask_is_refused(tmp_path: Path) -> None:
    root = dog(tmp_path, every((LEFT,)))
    path = root / f"Single-source/s4_data/gt_masks/test/dog_barking/{DOG}/{DOG}_2.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(MaskError, match=f"{DOG}_2.png: no PNG that can be read"):
        read(root, "s4")


def test_no_mask_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvsBenchError, match="no clip has a mask; the first was looked for in"):
        read(dog(tmp_path, {}), "s4")


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AvsBenchError, match="no clip is listed"):
        read(write_s4(tmp_path, {}, {}), "s4")


def test_missing_tables_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(AvsBenchError, match=r"there is no Single-source/s4_meta_data.csv.*--subset"):
        read_clips(tmp_path, ("s4",))
    (tmp_path / "s4_meta_data.csv").write_text(f"{S4_HEADER}\n", encoding="utf-8")
    with pytest.raises(AvsBenchError, match=r"s4_data/gt_masks: there is no such folder; unpack s4_data"):
        read_clips(tmp_path, ("s4",))


def test_the_table_may_stand_in_the_root_itself(tmp_path: Path) -> None:
    root = dog(tmp_path, every((LEFT,)))
    (clip,) = read_clips(root / "Single-source", ("s4",))[0]
    assert isinstance(clip, Clip)
    assert clip.masks.is_dir()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,category\nx,dog_barking\n", "line 1: no column split"),
        ("", "line 1: no column category, split"),
        ("category,split\ndog_barking,test\n", "line 1: no column category"),
        (f"{S4_HEADER}\n{DOG},0,dog_barking\n", "line 2: 3 fields, but 4 columns"),
        (f"{S4_HEADER}\n\n{DOG},0,dog_barking,dev\n", "line 3: the split is 'dev'"),
        (f"{S4_HEADER}\n../../x,0,dog_barking,test\n", "line 2: '../../x' cannot be the name"),
        (f"{S4_HEADER}\n{DOG},0,../dog,test\n", "line 2: '../dog' cannot be the name"),
        (f"{S4_HEADER}\n,0,dog_barking,test\n", "line 2: '' cannot be the name"),
        (f'{S4_HEADER}\n"{DOG},0,dog_barking,test\n', "it cannot be read"),
        (f"{S4_HEADER}\n{'x' * 200_000},0,dog_barking,test\n", "it cannot be read"),
        (f"{S4_HEADER}\n{DOG},0, ,test\n", "line 2: '' cannot be the name"),
    ],
)
def test_a_broken_table_is_named(tmp_path: Path, content: str, message: str) -> None:
    root = dog(tmp_path, every((LEFT,)))
    (root / "Single-source/s4_meta_data.csv").write_text(content, encoding="utf-8")
    with pytest.raises(AvsBenchError) as caught:
        read_clips(root, ("s4",))
    assert f"{root}/Single-source/s4_meta_data.csv" in str(caught.value)
    assert message in str(caught.value)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    root = dog(tmp_path, every((LEFT,)))
    (root / "Single-source/s4_meta_data.csv").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(AvsBenchError, match="it cannot be read"):
        read_clips(root, ("s4",))
