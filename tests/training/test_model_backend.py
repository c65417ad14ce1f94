"""Answers of models that transformers runs: right, each once, and made while the next clips are read."""

import gc
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from sounding_clips import write_sounding_clip
from tiny_families import FAMILY_WRITERS
from tiny_families import load_tiny
from transformers import StoppingCriteriaList

from r_avst.dataset_builder.build import main as build
from r_avst.dataset_builder.video import probe
from r_avst.training.answer_form import AnswerForm
from r_avst.training.asking import Ask
from r_avst.training.asking import Partial
from r_avst.training.asking import Reply
from r_avst.training.asking import Unanswered
from r_avst.training.clips import Clip
from r_avst.training.clips import ClipCache
from r_avst.training.clips import MediaSettings
from r_avst.training.families import FAMILIES
from r_avst.training.families import FamilyError
from r_avst.training.generation import greedy_answers
from r_avst.training.media import MediaEncoder
from r_avst.training.model_backend import Decoding
from r_avst.training.model_backend import ModelBackend
from r_avst.training.model_backend import in_pool
from r_avst.training.model_backend import in_thread
from r_avst.training.predict import make_asks
from r_avst.training.prompts import prompt_messages
from r_avst.training.prompts import prompt_text

NAMES = list(FAMILY_WRITERS)
GREEDY = Decoding(max_new_tokens=6, batch_size=3, temperature=0.0, seed=0)
QUESTIONS = ("When is it?", "Where is the red square?", "When is the moment red square makes sound and is visible?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("backend")


def settings(name: str) -> MediaSettings:
    return MediaSettings(2.0, 8, 784, 784 * 8, audio=FAMILIES[name].hears, decoder="pyav")


@pytest.fixture(scope="module")
def asks(folder: Path) -> list[Ask]:
    """Two questions of each of three clips, of other lengths and shapes, not in the clips' order."""
    clips = [
        write_sounding_clip(folder / "a.mp4", 3.0, size=(96, 64)),
        write_sounding_clip(folder / "b.mp4", 1.5, size=(64, 112), tone=None),
        write_sounding_clip(folder / "c.mp4", 2.0, size=(80, 80)),
    ]
    sizes = [(96, 64), (64, 112), (80, 80)]
    return [
        Ask(f"q{number}", ("temporal", "spatial")[number % 2], QUESTIONS[number % 3], clips[clip], sizes[clip], 2.0)
        for number, clip in enumerate([0, 1, 2, 2, 0, 1])
    ]


def backend(folder: Path, name: str, decoding: Decoding = GREEDY, readers: int = 2, **changes: Any) -> ModelBackend:
    model, processor = load_tiny(folder, name)
    family = replace(FAMILIES[name], **changes.pop("family", {}))
    for key, value in changes.pop("generation", {}).items():
        setattr(model.generation_config, key, value)
    form = AnswerForm(family.space, 1, 0)
    return ModelBackend(changes.pop("model", model), processor, family, settings(name), form, decoding, readers)


def replies(found: Iterator[Reply | Unanswered]) -> dict[str, Reply]:
    listed = list(found)
    by_id = {own.question_id: own for own in listed if isinstance(own, Reply)}
    assert len(by_id) == len(listed), listed
    return by_id


# --- what comes back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_answers_do_not_depend_on_the_batch_nor_on_what_is_read_ahead(folder: Path, asks: list[Ask], name: str) -> None:
    together = replies(backend(folder, name).answers(asks))
    alone = replies(backend(folder, name, replace(GREEDY, batch_size=1), readers=0).answers(asks))
    assert together == alone
    assert set(together) == {ask.question_id for ask in asks}


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_to_the_model_what_its_questions_are_alone(folder: Path, asks: list[Ask], name: str) -> None:
    ours = backend(folder, name, readers=0)
    samples: Any = list(ours._samples([[ask] for ask in asks[:3]]))
    together = ours._model(**ours._inputs(samples)).logits[:, -1]
    alone = torch.cat([ours._model(**ours._inputs([sample])).logits[:, -1] for sample in samples])
    assert torch.allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_pictures_of_a_clip_are_made_into_tensors_once(folder: Path, asks: list[Ask], name: str) -> None:
    own = FAMILIES[name]
    times = []

    def counted(processor: Any, clip: Clip, text: str, chosen: MediaSettings) -> Any:
        times.append(clip)
        return own.encode(processor, clip, text, chosen)

    ours = backend(folder, name, readers=0, family={"encode": counted})
    group = [replace(asks[0], question=question, task="spatial") for question in QUESTIONS]
    shared: Any = list(ours._samples([group]))
    assert len(times) == 1
    alone: Any = [next(ours._samples([[ask]])) for ask in group]
    assert len(times) == 4
    for first, second in zip(shared, alone, strict=True):
        assert set(first.tensors) == set(second.tensors)
        assert all(
            torch.equal(torch.as_tensor(first.tensors[key]), torch.as_tensor(second.tensors[key])) for key in first.tensors
        )


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_another_clip_is_another_input(folder: Path, asks: list[Ask], name: str) -> None:
    other = write_sounding_clip(folder / "blue.mp4", 3.0, colour=(0, 0, 255), size=(96, 64))
    ours = backend(folder, name, readers=0)
    samples: Any = list(ours._samples([[asks[0]], [replace(asks[0], video=other)]]))
    first, second = (ours._model(**ours._inputs([sample])).logits[0, -1] for sample in samples)
    assert (first - second).abs().max() > 1e-4


@pytest.mark.parametrize("name", ["qwen2.5-vl", "qwen2.5-omni"])
def test_answers_are_those_of_the_encoder_of_training(folder: Path, asks: list[Ask], name: str) -> None:
    model, processor = load_tiny(folder, name)
    encoder = MediaEncoder(processor, settings(name), ClipCache(folder / "cache", 0))
    form = AnswerForm("model", 1, 0)
    prompts = []
    for ask in asks:
        clip = encoder.clip(prompt_messages(ask.video, ""))
        text = prompt_text(ask.question, ask.task, form, clip.processed_size, clip.source_size, encoder.settings.audio)
        prompts.append(prompt_messages(ask.video, text))
    plain = greedy_answers(model, encoder, prompts, GREEDY.max_new_tokens, 1)
    ours = replies(backend(folder, name).answers(asks))
    assert [ours[ask.question_id].text for ask in asks] == plain


@pytest.mark.parametrize("name", NAMES)
def test_a_reply_says_what_is_needed_to_score_it(folder: Path, asks: list[Ask], name: str) -> None:
    own = replies(backend(folder, name).answers(asks))["q0"]
    assert own.frame_size == (96, 64)
    assert own.coordinate_space == FAMILIES[name].space
    assert (own.processed_size is not None) == (own.coordinate_space == "model")
    assert own.frame_times == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
    assert own.fps == 2.0
    assert own.completion_tokens == 6
    assert own.prompt_tokens is not None
    assert own.prompt_tokens > 100
    assert own.finish == "length"


@pytest.mark.parametrize("name", NAMES)
def test_a_real_clip_is_answered(folder: Path, clips_folder: Path, name: str) -> None:
    videos = sorted(clips_folder.glob("*.mp4"))[:2]
    facts = [probe(video) for video in videos]
    asked = [
        Ask(video.name, "spatio_temporal", "Where is it?", video, (own.width, own.height), own.duration)
        for video, own in zip(videos, facts, strict=True)
    ]
    found = replies(backend(folder, name).answers(asked))
    assert set(found) == {video.name for video in videos}
    for video, own in zip(videos, facts, strict=True):
        assert len(found[video.name].frame_times) == 8
        assert max(found[video.name].frame_times) < own.duration


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Ask]:
    """The questions of a data set that was built from a small world of two videos."""
    work = tmp_path_factory.mktemp("built")
    out = work / "r-avst"
    options = ["--videos", "2", "--seed", "0", "--work", str(work), "--out", str(out), "--no-balance"]
    assert build(["synthetic", *options]) == 0
    splits = datasets.load_dataset(str(out), cache_dir=str(work / "cache"))
    made, skipped = make_asks([row for rows in splits.values() for row in rows], work / "videos", bar=False)
    assert skipped == []
    return made


@pytest.mark.parametrize("name", NAMES)
def test_the_questions_of_a_built_data_set_are_answered(folder: Path, built: list[Ask], name: str) -> None:
    assert {ask.task for ask in built} == {"temporal", "spatial", "spatio_temporal"}
    assert len({ask.video for ask in built}) == 2
    found = replies(backend(folder, name).answers(built))
    assert set(found) == {ask.question_id for ask in built}
    assert all(own.completion_tokens > 0 and len(own.frame_times) == 8 for own in found.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_end_of_an_answer_is_told_from_a_cut(folder: Path, asks: list[Ask], name: str) -> None:
    first = backend(folder, name)
    sample: Any = next(first._samples([asks[:1]]))
    token = int(first._model.generate(**first._inputs([sample]), generation_config=first._generation())[0, -6])
    ending = backend(folder, name, generation={"eos_token_id": [token]})
    own = replies(ending.answers(asks[:1]))["q0"]
    assert (own.finish, own.completion_tokens) == ("stop", 1)


def test_a_checkpoints_own_penalties_do_not_count(folder: Path, asks: list[Ask]) -> None:
    penalties = {"repetition_penalty": 50.0, "no_repeat_ngram_size": 1, "num_beams": 3, "do_sample": True}
    plain = replies(backend(folder, "videollama3").answers(asks))
    assert replies(backend(folder, "videollama3", generation=penalties).answers(asks)) == plain


def test_drawn_answers_follow_the_seed_alone(folder: Path, asks: list[Ask]) -> None:
    drawn = replace(GREEDY, temperature=1.0)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = replies(backend(folder, "qwen3-vl", drawn).answers(asks))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert replies(backend(folder, "qwen3-vl", drawn).answers(asks)) == first
    assert replies(backend(folder, "qwen3-vl", replace(drawn, seed=1)).answers(asks)) != first


# --- what cannot be answered ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("readers", [0, 2])
@pytest.mark.parametrize("name", ["qwen2.5-vl", "internvl"])
def test_what_cannot_be_asked_is_said_and_the_rest_is_answered(
    folder: Path, asks: list[Ask], name: str, readers: int
) -> None:
    (folder / "broken.mp4").write_bytes(b"no video")
    bad = [
        Ask("broken", "temporal", "When?", folder / "broken.mp4", (64, 64), 2.0),
        Ask("gone", "temporal", "When?", folder / "gone.mp4", (64, 64), 2.0),
        replace(asks[0], question_id="size", source_size=(640, 360)),
        replace(asks[0], question_id="special", question="When <|im_end|>?"),
    ]
    found = list(backend(folder, name, readers=readers).answers([*bad, *asks]))
    reasons = {own.question_id: own.reason for own in found if isinstance(own, Unanswered)}
    assert set(reasons) == {"broken", "gone", "size", "special"}
    assert "broken.mp4" in reasons["broken"]
    assert "gone.mp4" in reasons["gone"]
    assert "96 x 64" in reasons["size"]
    assert "640 x 360" in reasons["size"]
    assert "special token" in reasons["special"]
    assert sorted(own.question_id for own in found if isinstance(own, Reply)) == [ask.question_id for ask in asks]


@pytest.mark.parametrize("token", ["<video>", "<IMG_CONTEXT>", "<img>", "</img>", "<|im_start|>"])
def test_a_question_with_a_special_token_is_not_put(folder: Path, asks: list[Ask], token: str) -> None:
    bad = replace(asks[0], question_id="bad", question=f"When is {token} seen?")
    found = list(backend(folder, "internvl").answers([bad, *asks]))
    (unanswered,) = (own for own in found if isinstance(own, Unanswered))
    assert unanswered.question_id == "bad"
    assert "special token" in unanswered.reason
    assert len(found) == len(asks) + 1


def test_a_medium_of_the_processor_is_special_though_its_tokenizer_does_not_call_it_so(
    folder: Path, asks: list[Ask]
) -> None:
    model, processor = load_tiny(folder, "internvl")
    processor.video_token = "[a film]"
    ours = ModelBackend(model, processor, FAMILIES["internvl"], settings("internvl"), AnswerForm("norm1000", 1, 0), GREEDY)
    (found,) = ours.answers([replace(asks[0], question="When is [a film] seen?")])
    assert isinstance(found, Unanswered)
    assert "[a film]" in found.reason


@pytest.mark.parametrize("readers", [0, 2])
def test_what_the_processor_refuses_is_one_question(folder: Path, asks: list[Ask], readers: int) -> None:
    own = FAMILIES["internvl"]

    def refusing(processor: Any, clip: Clip, text: str, chosen: MediaSettings) -> Any:
        if "the first" in text:
            raise ValueError("this one does not fit")
        return own.encode(processor, clip, text, chosen)

    bad = replace(asks[0], question_id="bad", question="When is the first?")
    found = list(backend(folder, "internvl", readers=readers, family={"encode": refusing}).answers([bad, *asks]))
    assert [own for own in found if isinstance(own, Unanswered)] == [Unanswered("bad", "this one does not fit")]
    assert len(found) == len(asks) + 1


@pytest.mark.parametrize("name", NAMES)
def test_a_question_longer_than_the_context_is_said(folder: Path, asks: list[Ask], name: str) -> None:
    (tokens,) = {own.prompt_tokens for own in replies(backend(folder, name).answers(asks[:1])).values()}
    assert tokens is not None
    for context in (tokens + GREEDY.max_new_tokens, tokens + GREEDY.max_new_tokens - 1):
        ours = backend(folder, name)
        ours._model.config.get_text_config().max_position_embeddings = context
        (found,) = ours.answers(asks[:1])
        if context - tokens == GREEDY.max_new_tokens:
            assert isinstance(found, Reply)
        else:
            reason = f"{tokens} tokens and 6 new ones are more than the model's context of {context}: "
            assert found == Unanswered("q0", reason + "lower --max-frames or --max-pixels")


def test_a_model_that_does_not_hear_is_given_no_sound(folder: Path) -> None:
    family = FAMILIES["qwen3-vl"]
    with pytest.raises(FamilyError, match="do not hear"):
        ModelBackend(None, None, family, settings("qwen2.5-omni"), AnswerForm("norm1000", 1, 0), GREEDY)


@pytest.mark.parametrize("change", [{"max_new_tokens": 0}, {"batch_size": 0}, {"temperature": -1.0}])
def test_decoding_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be 1 at least"):
        replace(GREEDY, **change)


FULL = torch.OutOfMemoryError("there is no more")


class SmallMemory:
    """A model whose memory holds so many questions at once, and what it says of more."""

    def __init__(self, model: Any, most: int, error: RuntimeError = FULL) -> None:
        self.model, self.most, self.error, self.asked = model, most, error, []  # type: ignore[var-annotated]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def generate(self, input_ids: torch.Tensor, **inputs: Any) -> Any:
        self.asked.append(len(input_ids))
        if len(input_ids) > self.most:
            raise self.error
        return self.model.generate(input_ids=input_ids, **inputs)


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=["class", "words", "cublas"],
)
def test_batches_are_halved_where_memory_does_not_suffice(folder: Path, asks: list[Ask], error: RuntimeError) -> None:
    plain = replies(backend(folder, "qwen2.5-vl").answers(asks))
    ours = backend(folder, "qwen2.5-vl", replace(GREEDY, batch_size=5))
    model = SmallMemory(ours._model, 2, error)
    ours._model = model
    assert replies(ours.answers(asks)) == plain
    assert model.asked == [5, 3, 2, 1, 2, 1]


def test_another_error_of_the_model_is_raised(folder: Path, asks: list[Ask]) -> None:
    ours = backend(folder, "qwen2.5-vl")
    ours._model = SmallMemory(ours._model, 0, RuntimeError("CUDA error: device-side assert triggered"))
    with pytest.raises(RuntimeError, match="device-side assert"):
        list(ours.answers(asks))


def test_a_question_for_which_memory_never_suffices_is_said(folder: Path, asks: list[Ask]) -> None:
    ours = backend(folder, "qwen2.5-vl")
    ours._model = SmallMemory(ours._model, 0)
    found = list(ours.answers(asks))
    assert sorted(own.question_id for own in found) == [ask.question_id for ask in asks]
    assert all(isinstance(own, Unanswered) and "max_frames" in own.reason for own in found)


def test_no_questions_no_answers(folder: Path) -> None:
    assert list(backend(folder, "internvl").answers([])) == []


# --- work ahead -------------------------------------------------------------------------------------------------------


def many(asks: list[Ask], folder: Path, number: int) -> list[Ask]:
    """A question of each of so many clips."""
    for copy in range(number):
        path = folder / f"many{copy:03}.mp4"
        if not path.exists():
            path.write_bytes(asks[0].video.read_bytes())
    return [replace(asks[0], question_id=f"m{copy}", video=folder / f"many{copy:03}.mp4") for copy in range(number)]


def test_a_clip_is_read_once_and_few_are_held(folder: Path, asks: list[Ask]) -> None:
    read: list[Path] = []

    def counted(processor: Any, path: Path, chosen: MediaSettings) -> Clip:
        read.append(path)
        return FAMILIES["qwen2.5-vl"].read(processor, path, chosen)

    asked = many(asks, folder, 24)
    ours = backend(folder, "qwen2.5-vl", family={"read": counted})
    ahead = []
    for number, _ in enumerate(ours.answers([*asked, *(replace(ask, question_id=f"{ask.question_id}b") for ask in asked)])):
        ahead.append(len(read) - number // 2)
        time.sleep(0.01)
    assert sorted(read) == [ask.video for ask in asked]
    # Of the batch (3 questions are 2 clips), of the samples behind it (3, and one that waits), of the pool (2, and one).
    assert max(ahead) <= 2 + 3 + 3


def test_clips_are_read_while_the_model_writes(folder: Path, asks: list[Ask]) -> None:
    """Reading takes 0.1 s a clip and writing 0.1 s a batch: 12 of each, one after the other, take 2.4 s."""

    def slow(processor: Any, path: Path, chosen: MediaSettings) -> Clip:
        time.sleep(0.1)
        return FAMILIES["qwen2.5-vl"].read(processor, path, chosen)

    class SlowModel(SmallMemory):
        def generate(self, input_ids: torch.Tensor, **inputs: Any) -> Any:
            time.sleep(0.1)
            return torch.cat([input_ids, torch.zeros_like(input_ids[:, :1])], dim=1)

    seconds = []
    for readers in (0, 2):
        ours = backend(folder, "qwen2.5-vl", replace(GREEDY, batch_size=1), readers, family={"read": slow})
        ours._model = SlowModel(ours._model, 1)
        start = time.perf_counter()
        assert len(list(ours.answers(many(asks, folder, 12)))) == 12
        seconds.append(time.perf_counter() - start)
    assert seconds[0] > 2.4
    assert seconds[1] < seconds[0] - 0.8


def test_a_run_that_is_left_leaves_no_threads(folder: Path, asks: list[Ask]) -> None:
    before = set(threading.enumerate())
    answers = backend(folder, "qwen2.5-vl", replace(GREEDY, batch_size=1)).answers(many(asks, folder, 24))
    next(answers)
    assert set(threading.enumerate()) - before
    answers.close()  # type: ignore[attr-defined]
    assert not set(threading.enumerate()) - before  # threads of other tests may have ended meanwhile


def test_an_error_of_the_code_is_raised_and_not_lost(folder: Path, asks: list[Ask]) -> None:
    def wrong(processor: Any, clip: Clip, text: str, chosen: MediaSettings) -> Any:
        raise ZeroDivisionError("a fault")

    with pytest.raises(ZeroDivisionError, match="a fault"):
        list(backend(folder, "qwen2.5-vl", family={"encode": wrong}).answers(asks))


def test_a_pool_keeps_order_and_stays_near() -> None:
    started: list[int] = []

    def work(number: int) -> int:
        started.append(number)
        time.sleep(0.01 if number % 2 else 0.0)
        return -number

    for place, result in enumerate(in_pool(work, range(50), 3)):
        assert result == -place
        assert len(started) <= place + 1 + 3


def test_a_thread_keeps_order_and_stays_near() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    for place, item in enumerate(in_thread(items(), 3)):
        assert item == place
        assert len(made) <= place + 1 + 3 + 1
        time.sleep(0.002)


def test_an_error_comes_where_its_item_would() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    found = in_thread(items(), 3)
    assert next(found) == 1
    with pytest.raises(KeyError, match="two"):
        next(found)


# --- an answer while it is written ------------------------------------------------------------------------------------


class SlowModel:
    """A model that takes its time for each token, counts them, and knows whether it writes two answers at once."""

    def __init__(self, model: Any, seconds: float) -> None:
        self._model, self._seconds = model, seconds
        self.tokens = self.writing = self.most = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, **given: Any) -> Any:
        self.writing += 1
        self.most = max(self.most, self.writing)
        own = given.pop("stopping_criteria", [])
        try:
            return self._model.generate(**given, stopping_criteria=StoppingCriteriaList([self._slow, *own]))
        finally:
            self.writing -= 1

    def _slow(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.tokens += 1
        time.sleep(self._seconds)
        return torch.zeros(len(input_ids), dtype=torch.bool)


def slow_backend(folder: Path, seconds: float, tokens: int) -> tuple[ModelBackend, SlowModel]:
    slow = SlowModel(load_tiny(folder, "qwen2.5-vl")[0], seconds)
    return backend(folder, "qwen2.5-vl", replace(GREEDY, max_new_tokens=tokens), 0, model=slow), slow


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_streamed_answer_is_the_answer(folder: Path, asks: list[Ask], name: str, temperature: float) -> None:
    ours = backend(folder, name, replace(GREEDY, temperature=temperature, batch_size=1))
    *partials, last = ours.stream(asks[0])
    assert [last] == list(ours.answers([asks[0]]))
    assert all(isinstance(own, Partial) for own in partials)


def test_what_stands_of_an_answer_grows_into_it(folder: Path, asks: list[Ask]) -> None:
    ours, _ = slow_backend(folder, 0.1, 20)
    *partials, last = ours.stream(asks[0])
    assert isinstance(last, Reply)
    texts = [own.text for own in partials if isinstance(own, Partial)]
    assert len(texts) == len(partials)
    assert len(set(texts)) >= 3
    assert all(last.text.startswith(text) for text in texts)
    assert all(isinstance(own, Partial) and own.processed_size in (None, last.processed_size) for own in partials)
    assert last.processed_size is not None


def test_a_stream_that_is_closed_stops_the_model_and_the_next_one_begins(folder: Path, asks: list[Ask]) -> None:
    ours, slow = slow_backend(folder, 0.05, 40)
    items = ours.stream(asks[0])
    next(items)
    items.close()
    (last,) = [own for own in ours.stream(replace(asks[1], question_id="next")) if isinstance(own, Reply)]
    assert last.question_id == "next"
    assert last.completion_tokens is not None
    assert slow.tokens < 20 + last.completion_tokens
    assert slow.most == 1


def test_who_leaves_while_the_video_is_read_does_not_wait_and_the_model_is_not_asked(folder: Path, asks: list[Ask]) -> None:
    read = threading.Event()
    paths: list[Path] = []

    def slow(processor: Any, path: Path, chosen: MediaSettings) -> Clip:
        paths.append(path)
        assert read.wait(30)
        return FAMILIES["qwen2.5-vl"].read(processor, path, chosen)

    model = SlowModel(load_tiny(folder, "qwen2.5-vl")[0], 0)
    ours = backend(folder, "qwen2.5-vl", model=model, family={"read": slow})
    before = set(threading.enumerate())
    for _ in range(3):
        items = ours.stream(asks[0])
        assert next(items) == Partial(asks[0].question_id, "", None)
        items.close()
    read.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
    assert model.tokens == 0
    assert len(paths) == 1


def test_two_streams_at_once_are_written_one_after_the_other(folder: Path, asks: list[Ask]) -> None:
    ours, slow = slow_backend(folder, 0.02, 10)
    alone = [list(ours.stream(own))[-1] for own in asks[:2]]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda own: list(ours.stream(own))[-1], asks[:2]))
    assert together == alone
    assert slow.most == 1


def test_what_cannot_be_asked_is_said_in_a_stream(folder: Path, asks: list[Ask]) -> None:
    ours = backend(folder, "qwen2.5-vl")
    (folder / "none.mp4").write_bytes(b"no video")
    wrong = [replace(asks[0], video=folder / "none.mp4"), replace(asks[0], question="<|video_pad|>")]
    for own in wrong:
        (last,) = ours.stream(own)
        assert isinstance(last, Unanswered)
        assert [last] == list(ours.answers([own]))


def test_a_model_that_falls_over_raises_in_a_stream(folder: Path, asks: list[Ask]) -> None:
    class Falling(SlowModel):
        def generate(self, **given: Any) -> Any:
            raise RuntimeError("it fell over")

    ours = backend(folder, "qwen2.5-vl", model=Falling(load_tiny(folder, "qwen2.5-vl")[0], 0))
    with pytest.raises(RuntimeError, match="fell over"):
        list(ours.stream(asks[0]))


def test_nothing_of_an_answer_is_held_behind_it(folder: Path, asks: list[Ask]) -> None:
    ours = backend(folder, "qwen2.5-vl", readers=0)
    list(ours.stream(asks[0]))
    before = held()
    list(ours.stream(asks[2]))
    assert held() <= before


def held() -> int:
    """The numbers in all tensors."""
    gc.collect()
    return sum(own.numel() for own in gc.get_objects() if issubclass(type(own), torch.Tensor))
