"""What a run starts from, and what its labels and rewards are; with a handful of clips and real tiny models."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest

from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.answers import write_answer
from r_avst.training.answer_form import read_answer
from r_avst.training.learn.measuring import exchanged_scores
from r_avst.training.learn.measuring import held_out_scores
from r_avst.training.learn.preparing import Prepared
from r_avst.training.learn.preparing import answers_of
from r_avst.training.learn.preparing import phrases
from r_avst.training.learn.preparing import prepare
from r_avst.training.learn.preparing import prompts_of
from r_avst.training.learn.preparing import truth_of
from r_avst.training.learn.tasks import TASKS
from r_avst.training.learn.tasks import Phase
from r_avst.training.learn.teaching import StopBelow
from r_avst.training.learn.teaching import labelled
from r_avst.training.learn.teaching import rewarded

CLIPS = {"clips": 12, "held_out": 3}


@pytest.fixture(scope="module")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(replace(TASKS["temporal"], **CLIPS), tmp_path_factory.mktemp("temporal"), seed=0)


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(replace(TASKS["boxes"], **CLIPS), tmp_path_factory.mktemp("boxes"), seed=0)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(replace(TASKS["sound"], **CLIPS), tmp_path_factory.mktemp("sound"), seed=0)


# --- words ------------------------------------------------------------------------------------------------------------


def test_prompts_and_answers_take_few_tokens_and_come_back_whole(temporal: Prepared) -> None:
    tokenizer = temporal.encoder.processor.tokenizer
    for text in (*prompts_of(temporal.task, temporal.training[:1]), *answers_of(temporal.task, temporal.training[0])):
        ids = tokenizer(text)["input_ids"]
        assert len(ids) <= 9
        assert tokenizer.decode(ids) == text


def test_no_answer_is_cut_off(boxes: Prepared) -> None:
    tokenizer = boxes.encoder.processor.tokenizer
    lengths = [len(tokenizer(text)["input_ids"]) + 1 for text in answers_of(boxes.task, boxes.training[0])]  # and its end
    assert max(lengths) <= boxes.most_tokens


def test_phrases_are_what_stands_between_numbers() -> None:
    assert phrases(["a 1.5 b", "a 2 c3"]) == ["a ", " b", " c"]


# --- coordinates ------------------------------------------------------------------------------------------------------


def test_boxes_are_asked_for_in_frames_of_half_the_size(boxes: Prepared) -> None:
    example = boxes.training[0]
    assert (example.source_size, example.processed_size) == ((112, 112), (56, 56))
    (prompt,) = prompts_of(boxes.task, [example])
    assert "56 wide and 56 high" in prompt
    for text, choice in zip(answers_of(boxes.task, example), boxes.task.world.choices, strict=True):
        assert read_answer(text, boxes.task.form, (112, 112), (56, 56)).answer == choice
        written = parse_answer(text).answer.tracks[0].rows[0]
        assert written[1:] == tuple(value / 2 for value in choice.tracks[0].rows[0][1:])


# --- labels and rewards -----------------------------------------------------------------------------------------------


def test_half_of_the_labels_are_right(temporal: Prepared) -> None:
    rows = labelled(temporal, Phase(0.5, "any", 1, 0.0, 1e-3), Random(0))
    truth = {example.video_id: example.truth for example in temporal.training}
    right = np.mean([row.truth == truth[row.video_id] for row in rows])
    by_chance = 1 / len(temporal.task.world.choices)
    assert right == pytest.approx(0.5 + 0.5 * by_chance, abs=0.12)
    assert Counter(row.video_id for row in rows) == dict.fromkeys(truth, len(rows) // len(truth))


def test_wrong_labels_can_be_the_constant_that_is_best_for_training(temporal: Prepared) -> None:
    rows = labelled(temporal, Phase(0.0, "constant", 1, 0.0, 1e-3), Random(0))
    assert len({row.truth for row in rows}) == 1


def test_wrong_rewards_are_those_of_other_clips(temporal: Prepared) -> None:
    assert rewarded(temporal, 0) == temporal.training
    others = rewarded(replace(temporal, task=TASKS["wrong"]), 0)
    assert Counter(own.truth for own in others) == Counter(own.truth for own in temporal.training)
    assert [own.video_id for own in others] == [own.video_id for own in temporal.training]
    assert [own.truth for own in others] != [own.truth for own in temporal.training]


def test_sft_stops_where_the_last_twenty_losses_are_low() -> None:
    callback, control = StopBelow(0.4), SimpleNamespace(should_training_stop=False)
    for loss in [0.9] + 19 * [0.39]:
        callback.on_log(None, None, control, logs={"loss": loss})
    assert not control.should_training_stop
    callback.on_log(None, None, control, logs={"loss": 0.39})
    assert control.should_training_stop


# --- scores -----------------------------------------------------------------------------------------------------------


class Says:
    """A model that gives the true answer to what stands in its input, found by comparing tensors with known ones."""

    def __init__(self, prepared: Prepared, field: str) -> None:
        self.config, self.device, self.training = prepared.model.config, prepared.model.device, False
        self._prepared, self._field = prepared, field
        self._known = [prepared.encoder.encode(_messages(prepared, own.video))[field] for own in prepared.held_out]

    def eval(self) -> None: ...

    def train(self, mode: bool) -> None: ...

    def generate(self, input_ids, max_new_tokens, **inputs):  # type: ignore[no-untyped-def]
        import torch

        media = inputs[self._field].reshape(len(input_ids), *self._known[0].shape)
        texts = [write_answer(truth_of(self._prepared.held_out[self._nearest(one)]), "temporal") for one in media]
        ids = self._prepared.encoder.processor.tokenizer(texts)["input_ids"]
        assert len({len(one) for one in ids}) == 1
        return torch.cat([input_ids, torch.tensor(ids)], dim=1)

    def _nearest(self, media):  # type: ignore[no-untyped-def]
        return int(np.argmin([float((media - one).abs().mean()) for one in self._known]))


def _messages(prepared: Prepared, video: Path):  # type: ignore[no-untyped-def]
    from r_avst.training.prompts import prompt_messages

    return prompt_messages(video, prompts_of(prepared.task, prepared.held_out[:1])[0])


def test_one_who_sees_scores_one_and_knows_nothing_of_other_clips(temporal: Prepared) -> None:
    matrix = held_out_scores(replace(temporal, model=Says(temporal, "pixel_values_videos")))
    assert np.diagonal(matrix).tolist() == [1.0, 1.0, 1.0]
    assert matrix.sum() < 9


def test_one_who_hears_is_led_astray_by_another_sound_and_not_by_other_pictures(sound: Prepared) -> None:
    swapped, pictures = exchanged_scores(replace(sound, model=Says(sound, "input_features")))
    assert pictures == 1.0
    assert swapped < 0.9


def test_one_who_only_sees_is_found_out(sound: Prepared) -> None:
    swapped, pictures = exchanged_scores(replace(sound, model=Says(sound, "pixel_values_videos")))
    assert swapped == 1.0
    assert pictures < 0.9
