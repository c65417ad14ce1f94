"""Messages become the tensors that the processor itself would make of the same frames and sound."""

from pathlib import Path
from typing import Any

import pytest
import torch
from sounding_clips import write_sounding_clip
from tiny_training import settings
from tiny_training import tiny_checkpoint
from tiny_training import tiny_encoder
from tiny_training import tiny_model
from tiny_training import tiny_prompts
from transformers import AutoProcessor

from r_avst.dataset_builder.video import VideoError
from r_avst.training.clips import ClipCache
from r_avst.training.generation import greedy_answers
from r_avst.training.media import MediaEncoder
from r_avst.training.media import MediaError
from r_avst.training.media import collate
from r_avst.training.media import family_of
from r_avst.training.media import media_token_ids


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("media")


@pytest.mark.parametrize("family", ["vl", "omni"])
def test_families_are_known_by_model_and_by_processor(folder: Path, family: str) -> None:
    encoder = tiny_encoder(folder, family)
    assert family_of(encoder.processor) == family_of(tiny_model(folder, family).config) == family


@pytest.mark.parametrize("name", ["llama", "qwen3_omni_moe_thinker", "qwen3_vl"])
def test_a_model_of_another_family_is_refused(name: str) -> None:
    with pytest.raises(MediaError, match="it knows"):
        family_of(type("OtherConfig", (), {"model_type": name})())


def test_a_model_that_cannot_hear_is_given_no_sound(folder: Path) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(folder, "vl"))
    with pytest.raises(MediaError, match="cannot hear"):
        MediaEncoder(processor, settings("omni"), ClipCache(folder / "cache", 1_000_000))


def test_positions_follow_the_rate_of_the_frames(folder: Path) -> None:
    sample = tiny_encoder(folder, "vl").encode(tiny_prompts(folder)[1])
    assert sample["second_per_grid_ts"].tolist() == [1.0]  # two frames, at two a second
    assert sample["video_grid_thw"].tolist()[0][0] == 4  # four seconds
    heard = tiny_encoder(folder, "omni").encode(tiny_prompts(folder)[1])
    assert heard["video_second_per_grid"].tolist() == [1.0]


def test_sound_takes_the_tokens_of_its_length(folder: Path) -> None:
    encoder = tiny_encoder(folder, "omni")
    for prompt, seconds in zip(tiny_prompts(folder), (3, 4, 6, 4), strict=True):
        ids = encoder.encode(prompt)["input_ids"]
        assert int((ids == encoder.processor.audio_token_id).sum()) == pytest.approx(5 * seconds, abs=1)


def test_a_seeing_omni_is_given_no_sound(folder: Path) -> None:
    processor = AutoProcessor.from_pretrained(tiny_checkpoint(folder, "omni"))
    encoder = MediaEncoder(processor, settings("vl"), ClipCache(folder / "cache", 1_000_000))
    sample = encoder.encode(tiny_prompts(folder)[0])
    assert "input_features" not in sample
    assert encoder.flags == {}


def test_nones_of_arrow_are_no_videos(folder: Path) -> None:
    encoder = tiny_encoder(folder, "vl")
    plain = tiny_prompts(folder)[0]
    video, text = plain[0]["content"]
    filled = [{"role": "user", "content": [{**video, "text": None}, {**text, "video": None}]}]
    assert torch.equal(encoder.encode(plain)["input_ids"], encoder.encode(filled)["input_ids"])


def test_prompts_with_no_video_or_two_are_refused(folder: Path) -> None:
    encoder = tiny_encoder(folder, "vl")
    video, text = tiny_prompts(folder)[0][0]["content"]
    for blocks in ([text], [video, video, text]):
        with pytest.raises(MediaError, match="one video"):
            encoder.encode([{"role": "user", "content": blocks}])


def test_a_video_that_is_none_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        tiny_encoder(folder, "vl").encode(
            [{"role": "user", "content": [{"type": "video", "video": str(tmp_path / "broken.mp4")}]}]
        )


def test_what_was_encoded_is_not_changed_by_its_reader(folder: Path) -> None:
    encoder = tiny_encoder(folder, "vl")
    first = encoder.encode(tiny_prompts(folder)[0])
    first.pop("pixel_values_videos")
    assert "pixel_values_videos" in encoder.encode(tiny_prompts(folder)[0])


def test_media_of_rows_are_put_together(folder: Path) -> None:
    encoder = tiny_encoder(folder, "vl")
    samples = [encoder.encode(prompt) for prompt in tiny_prompts(folder)]
    batch = collate(samples, 100, 5, torch.device("cpu"))
    assert batch["mm_token_type_ids"].shape == (4, 105)
    assert len(batch["pixel_values_videos"]) == sum(len(sample["pixel_values_videos"]) for sample in samples)
    assert batch["video_grid_thw"].shape == (4, 3)


def test_a_sound_beyond_the_extractors_length_stands_beside_shorter_ones() -> None:
    samples = [
        {"input_features": torch.ones(1, 4, width), "feature_attention_mask": torch.ones(1, width)} for width in (6, 9)
    ]
    batch = collate(samples, 1, 0, torch.device("cpu"))
    assert batch["input_features"].shape == (2, 4, 9)
    assert batch["feature_attention_mask"].sum(dim=1).tolist() == [6, 9]


def test_placeholders_of_both_families_are_known(folder: Path) -> None:
    assert len(media_token_ids(tiny_model(folder, "vl").config)) >= 4
    assert len(media_token_ids(tiny_model(folder, "omni").config)) >= 5


@pytest.mark.parametrize("family", ["vl", "omni"])
def test_greedy_answers_do_not_depend_on_the_batch(folder: Path, family: str) -> None:
    encoder, model = tiny_encoder(folder, family), tiny_model(folder, family)
    prompts = tiny_prompts(folder)
    alone = greedy_answers(model, encoder, prompts, 8, 1)
    assert greedy_answers(model, encoder, prompts, 8, 3) == alone
    assert len(set(alone)) > 1
    assert not model.training


def test_the_shape_of_a_clip_is_the_models(folder: Path, tmp_path: Path) -> None:
    """A clip of twice the sides, of which the settings allow eight patches: shown at half its size."""
    video = write_sounding_clip(tmp_path / "large.mp4", 2.0, size=(224, 112))
    encoder = tiny_encoder(folder, "vl")
    blocks: list[dict[str, Any]] = [{"type": "video", "video": str(video)}, {"type": "text", "text": "Where?"}]
    clip = encoder.clip([{"role": "user", "content": blocks}])
    assert (clip.source_size, clip.processed_size) == ((224, 112), (112, 56))
    grid = encoder.encode([{"role": "user", "content": blocks}])["video_grid_thw"]
    assert grid.tolist() == [[2, 4, 8]]
