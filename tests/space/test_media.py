"""Waveform, frame times and clock of real files."""

from pathlib import Path

import numpy as np
import pytest
from sounding_clips import write_sounding_clip

from r_avst.dataset_builder.video import VideoError
from r_avst.space.media import PEAKS
from r_avst.space.media import clock_start
from r_avst.space.media import file_url
from r_avst.space.media import media_of
from r_avst.space.media import media_view
from r_avst.space.media import shown_start


def test_the_waveform_is_loud_where_the_tone_is(tmp_path: Path) -> None:
    media = media_of(write_sounding_clip(tmp_path / "clip.mp4", 4.0, heard=(1.0, 2.0)))
    assert media.sound is not None
    assert media.sound.seconds == 4.0
    peaks = np.array(media.sound.peaks)
    assert peaks.shape == (PEAKS,)
    assert peaks.max() == 1.0
    quarter = PEAKS // 4
    assert peaks[quarter + 20 : 2 * quarter - 20].min() > 0.8
    assert max(peaks[: quarter - 40].max(), peaks[2 * quarter + 40 :].max()) < 0.1


def test_frame_times_are_those_of_the_file(tmp_path: Path) -> None:
    media = media_of(write_sounding_clip(tmp_path / "clip.mp4", 2.0, tone=None, fps=4))
    assert media.frame_times == tuple(number / 4 for number in range(8))
    assert media.sound is None


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = write_sounding_clip(tmp_path / "clip.mp4", 2.0, tone=None)
    assert len(media_of(path).frame_times) == 8
    write_sounding_clip(path, 3.0, tone=None)
    assert len(media_of(path).frame_times) == 12


def test_silence_and_what_is_no_video_have_no_waveform(tmp_path: Path) -> None:
    silent = write_sounding_clip(tmp_path / "clip.mp4", 1.0, heard=(5.0, 6.0))
    assert media_of(silent).sound is None
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    assert media_view(broken) == {"frame_times": None, "sound": None}
    assert media_view(tmp_path / "absent.mp4") == {"frame_times": None, "sound": None}
    with pytest.raises(VideoError, match=r"absent\.mp4"):
        clock_start(tmp_path / "absent.mp4")
    assert shown_start(tmp_path / "absent.mp4") == shown_start(broken) == 0.0
    assert media_view(None) == {"frame_times": None, "sound": None}


def test_an_address_is_quoted() -> None:
    assert file_url(Path("/a folder/film #1 50%?.mp4")) == "gradio_api/file=/a%20folder/film%20%231%2050%25%3F.mp4"
