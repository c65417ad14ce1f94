"""Files that are put in place whole, and what is there that must not be replaced."""

import os
import stat
import threading
from pathlib import Path

import pytest

from r_avst.dataset_builder.line_files import put_text


def test_a_file_is_put_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "card.md"
    for text in ("a longer text before", "now"):
        put_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "card.md"
    put_text(path, "before")
    with pytest.raises(UnicodeEncodeError):
        put_text(path, "half \ud800")
    assert path.read_text(encoding="utf-8") == "before"


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing yet"])
def test_a_link_stays_and_its_target_is_written(there: bool, tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere" / "card.md", tmp_path / "link.md"
    target.parent.mkdir()
    if there:
        target.write_text("before", encoding="utf-8")
    link.symlink_to(target)
    put_text(link, "now")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "now"


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        writer = threading.Thread(target=put_text, args=(pipe, "now"), daemon=True)
        writer.start()
        writer.join(10)
        assert stat.S_ISFIFO(pipe.lstat().st_mode)
        assert os.read(reader, 100) == b"now"
    finally:
        os.close(reader)
    assert list(tmp_path.iterdir()) == [pipe]
