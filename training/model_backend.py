"""Answers of a model that transformers runs: clips are read and encoded while the model writes.

Questions of one video are asked together, so a video is read once. Three things happen at a time: some threads read the
next clips, one makes samples of the clip at hand, and the caller's thread generates. Between them stand queues of fixed
length, so that memory does not grow with the number of questions.
"""

import queue
import threading
import zlib
from collections import deque
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any
from typing import Final
from typing import TypeVar

import torch
from torch import Tensor
from transformers import GenerationConfig
from transformers import StoppingCriteria
from transformers import StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from r_avst.dataset_builder.video import VideoError
from r_avst.metrics.avst_metrics.coordinates import Size

from .answer_form import AnswerForm
from .asking import Ask
from .asking import Partial
from .asking import Reply
from .asking import Unanswered
from .clips import Clip
from .clips import MediaSettings
from .families.family import Family
from .families.frames import clip_times
from .families.frames import with_other_text
from .media import TEXT_FIELDS
from .media import collate
from .media import media_token_ids
from .prompts import PromptError
from .prompts import prompt_text
from .streaming import LEFT
from .streaming import watched

T = TypeVar("T")
R = TypeVar("R")
_WAIT: Final = 0.1  # seconds after which a thread that waits for room looks whether it is still wanted
_WANT_OF_MEMORY: Final = ("CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


class ContextError(ValueError):
    """A question and its answer are longer than the model's context; the message says by what."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How answers are written.

    Attributes:
        max_new_tokens: at which an answer is cut off.
        batch_size: questions that are answered at once; halved where memory does not suffice.
        temperature: 0 takes the likeliest token each time; above it tokens are drawn.
        seed: of the drawing.

    Raises:
        ValueError: a value that nothing can be written with.
    """

    max_new_tokens: int
    batch_size: int
    temperature: float
    seed: int

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1 or self.batch_size < 1 or self.temperature < 0:
            raise ValueError(
                f"max_new_tokens is {self.max_new_tokens}, batch_size {self.batch_size} and temperature "
                f"{self.temperature}; the first two must be 1 at least, the last 0 at least"
            )


@dataclass(frozen=True, slots=True)
class _Sample:
    """A question ready for the model, with what the reply is to say of its clip."""

    ask: Ask
    tensors: Mapping[str, Tensor]
    processed_size: Size
    fps: float
    times: tuple[float, ...]


@dataclass(slots=True)
class _Made:
    """The last sample that was made of a clip's pictures, and the conversation in it; empty at first."""

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    chat: str = ""


class _Unwanted(StoppingCriteria):
    """Ends an answer that nobody waits for any more."""

    def __init__(self, unwanted: threading.Event) -> None:
        self._unwanted = unwanted

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        return torch.full((len(input_ids),), self._unwanted.is_set(), device=input_ids.device)


class _Written(BaseStreamer):
    """Collects the tokens of one answer; ``generate`` hands it the prompt first."""

    def __init__(self) -> None:
        self.sample: _Sample | None = None
        self.tokens: list[int] = []
        self._begun = False

    def put(self, value: Tensor) -> None:
        if self._begun:
            self.tokens.extend(value.flatten().tolist())
        self._begun = True

    def end(self) -> None:
        """Nothing is left to hand on."""


class ModelBackend:
    """Asks a model that is in memory.

    Nothing of the checkpoint's own generation settings counts but the tokens that end an answer: a penalty on repetition,
    which some carry, falls on the digits of boxes.

    Args:
        model: of a class that the family names, on its device.
        processor: of the model.
        family: of the model.
        settings: how videos become clips.
        form: in which answers are asked for.
        decoding: how they are written.
        readers: threads that read clips ahead of the model; 0 reads, encodes and generates one after the other.

    Raises:
        FamilyError: the settings ask for what the family cannot do.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        family: Family,
        settings: MediaSettings,
        form: AnswerForm,
        decoding: Decoding,
        readers: int = 2,
    ) -> None:
        family.check(settings)
        self._model, self._processor, self._family = model, processor, family
        self._settings, self._form, self._decoding, self._readers = settings, form, decoding, readers
        self._batch_size = decoding.batch_size
        self._special = _special_tokens(processor)
        # A stream that was closed may still be at its last token when the next question comes.
        self._generating = threading.Lock()
        # Nothing interrupts the reading of a video: who asks and leaves time and again must not have many read at once.
        self._reading = threading.Lock()

    def answers(self, asks: Sequence[Ask]) -> Iterator[Reply | Unanswered]:
        """Asks all of them, those of one video one after another; each comes back once.

        A video that cannot be read, a question that cannot be put, one that is longer than the model's context, and one for
        which memory does not suffice even alone come back unanswered.
        """
        ordered = sorted(asks, key=lambda ask: str(ask.video))
        groups = [list(group) for _, group in groupby(ordered, key=lambda ask: ask.video)]
        batch: list[_Sample] = []
        with closing(self._samples(groups)) as samples:
            for sample in samples:
                if isinstance(sample, Unanswered):
                    yield sample
                    continue
                batch.append(sample)
                if len(batch) >= self._batch_size:
                    yield from self._answered(batch)
                    batch = []
            if batch:
                yield from self._answered(batch)

    def stream(self, ask: Ask) -> Generator[Partial | Reply | Unanswered, None, None]:
        """The answer to one question while it is written; the last item is what `answers` gives for it.

        Several may be asked for at once: the model writes one answer after the other.
        """
        written = _Written()

        def work(unwanted: threading.Event) -> Reply | Unanswered:
            return self._watched_answer(ask, written, unwanted)

        return watched(work, lambda: self._partial(ask, written))

    def _watched_answer(self, ask: Ask, written: _Written, unwanted: threading.Event) -> Reply | Unanswered:
        with self._reading:
            if unwanted.is_set():
                return Unanswered(ask.question_id, LEFT)
            sample = next(self._encoded([[ask]], iter([self._read(ask.video)])))
        if isinstance(sample, Unanswered):
            return sample
        if unwanted.is_set():
            return Unanswered(ask.question_id, LEFT)
        written.sample = sample
        watching = {"streamer": written, "stopping_criteria": StoppingCriteriaList([_Unwanted(unwanted)])}
        return next(self._answered([sample], watching))

    def _partial(self, ask: Ask, written: _Written) -> Partial:
        sample = written.sample
        if sample is None:
            return Partial(ask.question_id, "", None)
        text = self._processor.tokenizer.decode(list(written.tokens), skip_special_tokens=True)
        # A letter of several tokens is not there before its last one is.
        return Partial(ask.question_id, text.rstrip("\ufffd"), self._told_size(sample))

    # --- samples ------------------------------------------------------------------------------------------------------

    def _samples(self, groups: Sequence[Sequence[Ask]]) -> Generator[_Sample | Unanswered, None, None]:
        """The questions of the groups, each group one video's, as samples."""
        if self._readers == 0:
            return self._encoded(groups, map(self._read, (group[0].video for group in groups)))
        clips = in_pool(self._read, [group[0].video for group in groups], self._readers)
        return in_thread(self._encoded(groups, clips), self._decoding.batch_size)

    def _read(self, video: Path) -> Clip | str:
        """The clip, or why there is none."""
        try:
            return self._family.read(self._processor, video, self._settings)
        except (VideoError, OSError) as error:
            return str(error)
        except MemoryError:
            return f"{video}: there is not enough memory for its frames: lower max_frames or max_pixels"

    def _encoded(
        self, groups: Iterable[Sequence[Ask]], clips: Iterator[Clip | str]
    ) -> Generator[_Sample | Unanswered, None, None]:
        for group in groups:
            clip, made = next(clips), _Made()
            for ask in group:
                yield Unanswered(ask.question_id, clip) if isinstance(clip, str) else self._sample(ask, clip, made)

    def _sample(self, ask: Ask, clip: Clip, made: _Made) -> _Sample | Unanswered:
        if clip.source_size != ask.source_size:
            found, said = (f"{width} x {height}" for width, height in (clip.source_size, ask.source_size))
            return Unanswered(ask.question_id, f"{ask.video}: its frames are {found}, the question is for {said}")
        size, audio = clip.processed_size, self._settings.audio
        try:
            self._check_question(ask.question)
            text = prompt_text(ask.question, ask.task, self._form, size, clip.source_size, audio)
            tensors = self._tensors(clip, text, made)
            self._check_length(tensors["input_ids"].size(1))
        except ValueError as error:  # of this package's own classes, or of the model's processor
            return Unanswered(ask.question_id, str(error))
        return _Sample(ask, tensors, size, clip.fps, clip_times(clip))

    def _check_question(self, question: str) -> None:
        """A medium's token in a question would stand for a medium that is not there.

        Raises:
            PromptError: the question holds a special token.
        """
        held = next((token for token in self._special if token in question), None)
        if held is not None:
            raise PromptError(f"the question {question[:80]!r} holds {held!r}, a special token of the model: rewrite it")

    def _check_length(self, tokens: int) -> None:
        """Positions behind those of training are no error to a model: it writes on, and badly.

        Raises:
            ContextError: the tokens of a question and of its answer are more than the model's context.
        """
        context = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        new = self._decoding.max_new_tokens
        if context is not None and tokens + new > context:
            raise ContextError(
                f"{tokens} tokens and {new} new ones are more than the model's context of {context}: "
                "lower --max-frames or --max-pixels"
            )

    def _tensors(self, clip: Clip, text: str, made: _Made) -> Mapping[str, Tensor]:
        chat = self._family.chat(self._processor, clip, text)
        if made.tensors:
            other = with_other_text(self._processor, made.tensors, made.chat, chat)
            if other is not None:
                return other
        made.tensors, made.chat = self._family.encode(self._processor, clip, text, self._settings), chat
        return made.tensors

    # --- answers ------------------------------------------------------------------------------------------------------

    def _answered(
        self, batch: Sequence[_Sample], watching: Mapping[str, Any] = MappingProxyType({})
    ) -> Iterator[Reply | Unanswered]:
        """Replies to a batch; where memory does not suffice, to each half of it, and batches stay that small.

        ``watching``: what ``generate`` is to have beside, for a batch of one.
        """
        try:
            replies = self._generated(batch, watching)
        except RuntimeError as error:
            if not _for_want_of_memory(error):
                raise
            replies = None
        if replies is not None:
            yield from replies
            return
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(batch) == 1:
            reason = "the model's memory does not suffice for this question alone: lower max_frames or max_pixels"
            yield Unanswered(batch[0].ask.question_id, reason)
            return
        self._batch_size = min(self._batch_size, (len(batch) + 1) // 2)
        for start in range(0, len(batch), self._batch_size):
            yield from self._answered(batch[start : start + self._batch_size])

    @torch.inference_mode()
    def _generated(self, batch: Sequence[_Sample], watching: Mapping[str, Any]) -> list[Reply]:
        with self._generating, _drawing(self._decoding, batch):
            inputs = self._inputs(batch)
            width = inputs["input_ids"].size(1)
            ids = self._model.generate(**inputs, **watching, generation_config=self._generation())
        return [self._reply(own, row) for own, row in zip(batch, ids[:, width:].tolist(), strict=True)]

    def _inputs(self, batch: Sequence[_Sample]) -> dict[str, Any]:
        """The samples as one batch for a forward pass, prompts padded on their left."""
        device = self._model.device
        prompts = [sample.tensors["input_ids"][0].tolist() for sample in batch]
        padded = self._processor.tokenizer.pad({"input_ids": prompts}, padding_side="left", return_tensors="pt")
        width = padded["input_ids"].size(1)
        media = collate([sample.tensors for sample in batch], width, 0, device)
        flags = self._family.sound_flags if self._settings.audio else {}
        return {**{name: padded[name].to(device) for name in TEXT_FIELDS}, **media, **flags}

    def _generation(self) -> GenerationConfig:
        """Says all that a checkpoint's own settings would fill in otherwise."""
        temperature = self._decoding.temperature
        return GenerationConfig(  # type: ignore[no-untyped-call]
            max_new_tokens=self._decoding.max_new_tokens,
            do_sample=temperature > 0,
            temperature=temperature or 1.0,
            top_k=0 if temperature else 50,  # 50 is what transformers calls unset where nothing is drawn
            top_p=1.0,
            num_beams=1,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            suppress_tokens=media_token_ids(self._model.config),
            eos_token_id=self._ends(),
            pad_token_id=self._processor.tokenizer.pad_token_id,
        )

    def _ends(self) -> list[int]:
        """Tokens that end an answer."""
        own = self._model.generation_config.eos_token_id
        listed = own if isinstance(own, list) else [own]
        return [token for token in listed if token is not None] or [self._processor.tokenizer.eos_token_id]

    def _reply(self, sample: _Sample, row: Sequence[int]) -> Reply:
        ends = set(self._ends())
        written = next((number + 1 for number, token in enumerate(row) if token in ends), len(row))
        ended = bool(row) and row[written - 1] in ends
        space = self._form.space
        return Reply(
            question_id=sample.ask.question_id,
            text=self._processor.tokenizer.decode(row[:written], skip_special_tokens=True),
            coordinate_space=space,
            frame_size=sample.ask.source_size,
            processed_size=self._told_size(sample),
            fps=sample.fps,
            frame_times=sample.times,
            prompt_tokens=sample.tensors["input_ids"].size(1),
            completion_tokens=written,
            finish="stop" if ended else "length",
        )

    def _told_size(self, sample: _Sample) -> Size | None:
        return sample.processed_size if self._form.space == "model" else None


def _special_tokens(processor: Any) -> tuple[str, ...]:
    """Those of the tokenizer, and the processor's own for media, which a tokenizer need not call special."""
    own = {token for name, token in vars(processor).items() if name.endswith("_token") and isinstance(token, str)}
    added = processor.tokenizer.added_tokens_decoder.values()
    return tuple(sorted((own | {token.content for token in added if token.special}) - {""}))


def _for_want_of_memory(error: RuntimeError) -> bool:
    """Libraries that PyTorch calls say it in words alone."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _WANT_OF_MEMORY)


@contextmanager
def _drawing(decoding: Decoding, batch: Sequence[_Sample]) -> Iterator[None]:
    """Random numbers that depend on the seed and the questions of the batch, not on what was answered before."""
    if decoding.temperature == 0:
        yield
        return
    names = "\n".join(sample.ask.question_id for sample in batch)
    with torch.random.fork_rng():
        torch.manual_seed(zlib.crc32(names.encode(), decoding.seed & 0xFFFFFFFF))
        yield


# --- work ahead -------------------------------------------------------------------------------------------------------


def in_pool(function: Callable[[T], R], arguments: Iterable[T], threads: int) -> Iterator[R]:
    """The results for ``arguments`` in their order, made by threads that are at most ``threads`` results ahead.

    Raises:
        Exception: of the function, where its result would stand.
    """
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for argument in arguments:
            waiting.append(pool.submit(function, argument))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def in_thread(items: Iterator[T], most: int) -> Generator[T, None, None]:
    """The items in their order, made by a thread of their own that is at most ``most`` items ahead.

    The thread ends with the items, or when the iterator is closed.

    Raises:
        Exception: of ``items``, where the item would stand.
    """
    made: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(most)
    unwanted = threading.Event()
    thread = threading.Thread(target=_fill, args=(made, items, unwanted), daemon=True)
    thread.start()
    try:
        while (entry := made.get()) is not None:
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        unwanted.set()
        thread.join()


def _fill(made: "queue.Queue[tuple[T] | BaseException | None]", items: Iterator[T], unwanted: threading.Event) -> None:
    try:
        for item in items:
            if not _put(made, (item,), unwanted):
                return
    except BaseException as error:  # it is raised again in the thread that asks
        _put(made, error, unwanted)
    else:
        _put(made, None, unwanted)
    finally:
        close: Callable[[], None] | None = getattr(items, "close", None)
        if close is not None:
            close()


def _put(made: "queue.Queue[Any]", entry: Any, unwanted: threading.Event) -> bool:
    """Whether the entry was put before it was unwanted."""
    while not unwanted.is_set():
        try:
            made.put(entry, timeout=_WAIT)
        except queue.Full:
            continue
        return True
    return False
