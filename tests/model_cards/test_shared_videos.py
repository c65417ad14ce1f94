import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.model_cards.artefacts import PublishError
from r_avst.model_cards.shared_videos import Licence
from r_avst.model_cards.shared_videos import SharedVideo
from r_avst.model_cards.shared_videos import read_licences
from r_avst.model_cards.shared_videos import shared_videos
from r_avst.model_cards.shared_videos import splits_of
from r_avst.model_cards.shared_videos import video_folder

HEADER = "video_id,licence,attribution\n"


def with_licences(folder: Path, lines: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "licences.csv").write_text(lines)
    return folder


def test_licences_are_read_by_video(tmp_path: Path) -> None:
    lines = HEADER + 'a,cc-by-4.0,"Author, A., 2020"\nb,cc0-1.0,\nc,cc-by-nc-sa-3.0,C\n'
    assert read_licences(with_licences(tmp_path, lines)) == {
        "a": Licence("cc-by-4.0", "Author, A., 2020"),
        "b": Licence("cc0-1.0", ""),
        "c": Licence("cc-by-nc-sa-3.0", "C"),
    }


def test_a_mark_of_the_byte_order_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    assert list(read_licences(with_licences(tmp_path, "\ufeff" + HEADER + "a,mit,A\n"))) == ["a"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("id,licence\na,mit\n", "its first line is ['id', 'licence']; it should be video_id,licence,attribution"),
        ("", "its first line is None"),
        (
            HEADER + "a,cc0-1.0,\nb,youtube,Y\n",
            "licences.csv, line 3: 'youtube' is no licence that lets a video be passed on",
        ),
        (HEADER + "a,,\n", "line 2: '' is no licence"),
        (HEADER + "a\n", "line 2: '' is no licence"),
        (HEADER + "a,mit,A\na,mit,B\n", "line 3: a has a line already"),
        (HEADER + "a,mit,Author, A.\n", "line 2: it has more than 3 fields; put quotes around a text with commas"),
        (HEADER + "a,cc-by-4.0, \n", "line 2: cc-by-4.0 asks to name the author; fill in attribution"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, lines: str, said: str) -> None:
    with pytest.raises(PublishError, match=re.escape(said)):
        read_licences(with_licences(tmp_path, lines))


def test_no_video_goes_out_unless_somebody_says_so(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"licences\.csv: there is no such file\. Videos go out only if you say"):
        read_licences(tmp_path)


@pytest.fixture
def dataset(tmp_path: Path, tiny_release: Path) -> Path:
    build_release(str(tiny_release), None, None, tmp_path / "r-avst")
    return tmp_path / "r-avst"


def test_videos_stand_in_the_splits_of_their_rows(dataset: Path) -> None:
    assert splits_of(dataset) == {"tiny_dog": "test", "tiny_car": "test"}


def test_videos_of_others_and_without_a_licence_stay_here(tmp_path: Path, dataset: Path) -> None:
    folder = with_licences(tmp_path / "videos", HEADER + "tiny_dog,mit,D\nother,mit,O\nabsent,mit,A\n")
    for name in ("tiny_dog.mp4", "tiny_car.mp4", "other.mp4"):
        (folder / name).write_bytes(b"video")
    shared, left_out = shared_videos(folder, dataset)
    assert shared == [SharedVideo("test", "tiny_dog", folder / "tiny_dog.mp4", Licence("mit", "D"))]
    assert left_out == {
        "tiny_car.mp4": "licences.csv does not say that it may be shared",
        "other.mp4": "no video of the data set",
        "absent": "licences.csv names it, and there is no video of this id",
    }


def test_a_damaged_file_of_the_data_set_is_named(dataset: Path) -> None:
    (damaged,) = (dataset / "events").iterdir()
    damaged.write_bytes(b"PAR1")
    with pytest.raises(PublishError, match=rf"{damaged.name}: it cannot be read"):
        splits_of(dataset)


def test_nothing_to_share_is_an_error(tmp_path: Path, dataset: Path) -> None:
    folder = with_licences(tmp_path / "videos", HEADER + "tiny_dog,mit,D\n")
    with pytest.raises(PublishError, match="nothing to share"):
        shared_videos(folder, dataset)


def test_the_folder_has_a_table_a_split_and_a_card_with_the_licences(tmp_path: Path) -> None:
    videos = [
        SharedVideo("test", "a", Path("somewhere/a.MP4"), Licence("mit", "A")),
        SharedVideo("train", "b", Path("b.webm"), Licence("cc0-1.0", "")),
        SharedVideo("train", "c", Path("c.mp4"), Licence("cc0-1.0", "")),
    ]
    places = video_folder(videos, "user/r-avst", tmp_path / "tables")
    own = {path: file for path, file in places.items() if not path.endswith((".parquet", "README.md"))}
    assert own == {"test/a.mp4": Path("somewhere/a.MP4"), "train/b.webm": Path("b.webm"), "train/c.mp4": Path("c.mp4")}
    rows = pq.read_table(places["train/metadata.parquet"]).to_pylist()
    assert rows == [
        {"file_name": "b.webm", "video_id": "b", "licence": "cc0-1.0", "attribution": ""},
        {"file_name": "c.mp4", "video_id": "c", "licence": "cc0-1.0", "attribution": ""},
    ]
    card = DatasetCard.load(places["README.md"])
    assert card.data.to_dict()["license"] == "other"
    assert [own["split"] for own in card.data.to_dict()["configs"][0]["data_files"]] == ["test", "train"]
    assert "| cc0-1.0 | 2 |\n| mit | 1 |" in card.text
