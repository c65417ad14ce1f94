"""Asks a model behind a server that speaks OpenAI's chat completions protocol: vLLM, SGLang, a vendor's.

The frames go out as JPEG at the size and the times that `clips` gives them, each with its time in the text before it. Or the
file itself goes out, or an address of it: then the server samples the frames, at times and sizes that it does not tell.

Whose fault a failure is decides what becomes of it. A request that the server refuses, and a video that cannot be read, cost
one question; a server that refuses all it is asked at first is set up wrong, which costs none. A wrong key stops everything,
and so does a wrong model, told by 403 or 404 before anything was answered. A server that does not answer, though asked again
as often as ``max_attempts`` says, may have choked on a question or be down: which it was, the next answers tell.
"""

import base64
import io
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED
from concurrent.futures import Future
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Final
from typing import Literal
from typing import get_args
from urllib.parse import quote

from pydantic import ValidationError

from r_avst.dataset_builder.chat_client import ADVICE
from r_avst.dataset_builder.chat_client import MAX_PROBLEM
from r_avst.dataset_builder.chat_client import ChatClient
from r_avst.dataset_builder.chat_client import ChatOptions
from r_avst.dataset_builder.chat_completion import ChatMessage
from r_avst.dataset_builder.chat_completion import Choice
from r_avst.dataset_builder.chat_completion import Completion
from r_avst.dataset_builder.chat_completion import Usage
from r_avst.dataset_builder.stages.stage import StageError
from r_avst.dataset_builder.video import VideoError
from r_avst.metrics.avst_metrics.coordinates import Size

from .answer_form import AnswerForm
from .asking import Ask
from .asking import Finish
from .asking import Partial
from .asking import Reply
from .asking import Unanswered
from .clips import Clip
from .clips import MediaSettings
from .clips import read_clip
from .prompts import PromptError
from .prompts import prompt_text
from .streaming import LEFT
from .streaming import in_background
from .streaming import watched

if TYPE_CHECKING:
    from openai import APIStatusError

Send = Literal["frames", "video", "url"]
SENDS: tuple[Send, ...] = get_args(Send)
Block = Mapping[str, Any]
JPEG_QUALITY: Final = 95
TIME_DECIMALS: Final = 2  # of the seconds told before a frame
STOPPING: Final = (401,)
"""Of these every other request would die, too."""
DENYING: Final = (403, 404)
"""Of these, too, unless others were answered: then they may be about a question, or a replica."""
PASSING: Final = (408, 409, 429, 502, 503, 504)
"""The server's condition, not the question's: they were asked again until `ChatOptions.max_attempts`."""
LEAST_IN_DOUBT: Final = 3  # questions in a row at which a server did not answer, until it is taken to be down
LEAST_REFUSED: Final = 3  # questions, and videos, that a server refuses at first, until it is taken to be set up wrong
MEDIA_TYPES: Final = {".mkv": "video/x-matroska", ".mov": "video/quicktime", ".ts": "video/mp2t", ".webm": "video/webm"}


class ServerError(RuntimeError):
    """A server that cannot be asked at all; the message says what to do. What was answered stands."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Whom to ask, and how. The key is OPENAI_API_KEY, and it is kept nowhere.

    Attributes:
        chat: model, address, timeout, attempts, length of the answer, temperature.
        send: ``frames``: images with their times; ``video``: the file in the request; ``url``: an address of the file.
        concurrency: questions that are under way at once.
        url_prefix: what stands before the file's path below ``videos`` in an address; None makes it ``file://`` and the
            whole path, which vLLM takes with ``--allowed-local-media-path``.
        seed: is sent where answers are drawn at random.
        extra_body: further fields of a request, as a server has them.
        videos: the folder that ``url_prefix`` stands for; None where all files lie in it itself.

    Raises:
        ValueError: there is no such way to send, or ``concurrency`` is not above 0.
    """

    chat: ChatOptions
    send: Send
    concurrency: int
    url_prefix: str | None = None
    seed: int | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    videos: Path | None = None

    def __post_init__(self) -> None:
        if self.send not in SENDS:
            raise ValueError(f"send is {self.send!r}; there are {', '.join(SENDS)}")
        if self.concurrency < 1:
            raise ValueError(f"concurrency is {self.concurrency}; it must be 1 or more")


# --- what is sent -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SentVideo:
    """A video as it goes out: blocks of a message, the size and the times of the frames; those are empty for a file."""

    blocks: tuple[Block, ...]
    processed_size: Size | None
    fps: float
    frame_times: tuple[float, ...]


def frames_sent(clip: Clip) -> SentVideo:
    """The frames of a clip as JPEG, each behind a text with its time, as in ``Frame at 1.5 s:``."""
    times = tuple(number / clip.fps for number in range(len(clip.frames)))
    blocks = [
        block
        for time, frame in zip(times, clip.frames, strict=True)
        for block in (_text_block(f"Frame at {round(time, TIME_DECIMALS)} s:"), _image_block(frame))
    ]
    return SentVideo(tuple(blocks), clip.processed_size, clip.fps, times)


def file_sent(path: Path) -> SentVideo:
    """The file itself, in the request.

    Raises:
        OSError: it cannot be read.
    """
    return _video_sent(_data_url(MEDIA_TYPES.get(path.suffix.lower(), "video/mp4"), path.read_bytes()))


def address_sent(path: Path, prefix: str | None, videos: Path | None) -> SentVideo:
    """An address of the file: of this machine, or ``prefix`` and the file's path below ``videos``."""
    if prefix is None:
        return _video_sent(path.resolve().as_uri())
    below = path.relative_to(videos or path.parent).as_posix()
    return _video_sent(f"{prefix.rstrip('/')}/{quote(below)}")


def _video_sent(url: str) -> SentVideo:
    return SentVideo(({"type": "video_url", "video_url": {"url": url}},), None, 0.0, ())


def _text_block(text: str) -> Block:
    return {"type": "text", "text": text}


def _image_block(frame: Any) -> Block:
    from PIL import Image

    content = io.BytesIO()
    Image.fromarray(frame).save(content, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return {"type": "image_url", "image_url": {"url": _data_url("image/jpeg", content.getvalue())}}


def _data_url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


class _SentOnce:
    """Makes what is sent of a video once for all threads that ask about it, and keeps the latest few."""

    def __init__(self, make: Callable[[Path], SentVideo], kept: int) -> None:
        self._make, self._kept = make, kept
        self._made: OrderedDict[Path, Future[SentVideo]] = OrderedDict()
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(os.cpu_count() or 1)  # decoding: more at once only take memory

    def __call__(self, path: Path) -> SentVideo:
        with self._lock:
            future = self._made.get(path)
            first = future is None
            if future is None:
                future = self._made[path] = Future()
            while len(self._made) > self._kept:
                self._made.popitem(last=False)
        if first:
            try:
                with self._slots:
                    future.set_result(self._make(path))
            except BaseException as error:  # whoever waits for it must hear of it
                future.set_exception(error)
        return future.result()


# --- what comes back --------------------------------------------------------------------------------------------------


class _RequestError(ValueError):
    """This request is not answered, others may be."""


class _TroubleError(RuntimeError):
    """The server gives no answer, be it for this request or for all."""


class _DeniedError(_TroubleError):
    """The server says that there is no such model, or not for this key."""


class _VideoChat(ChatClient):
    """The client of the builder, with what it has no need of: why an answer ended, and a fault that may be a question's."""

    def ask(self, blocks: Sequence[Block], settings: ServerSettings) -> Completion:
        """What the server answers to one message.

        Raises:
            _RequestError: the server refuses this request, breaks on it, or answers with no chat completion every time.
            _TroubleError: the server does not answer, is overloaded, or denies the model.
            ServerError: it cannot be used.
        """
        problem = ""
        for _ in range(self._options.max_attempts):
            body = self._body(blocks, settings)
            try:
                return Completion.model_validate_json(body)
            except ValidationError as error:
                problem = f"{error.errors()[0]['msg']}: {body[:MAX_PROBLEM]!r}"
        raise _RequestError(f"the server answered with no chat completion ({problem}); is --base-url right?")

    def close(self) -> None:
        """Ends all attempts: no further request goes out."""
        self._client.close()

    def watch(
        self, blocks: Sequence[Block], settings: ServerSettings, tell: Callable[[str], None], unwanted: threading.Event
    ) -> Completion:
        """What the server answers to one message, as `ask`, while it is written.

        Args:
            blocks: of the message.
            settings: of the request.
            tell: takes what stands of the text, each time that it grew.
            unwanted: is set when nobody waits for the answer any more; the connection is then given up.

        Raises:
            _RequestError: as of `ask`, or the answer broke off.
            _TroubleError: as of `ask`.
            ServerError: as of `ask`.
        """
        pieces = _Pieces()
        request = self._request(blocks, settings) | {"stream": True, "stream_options": {"include_usage": True}}
        with self._failures():
            chunks = self._client.chat.completions.create(**request)
        with chunks, self._broken_answer():
            for chunk in chunks:
                pieces.add(chunk)
                tell(pieces.text)
                if unwanted.is_set():
                    break
        return pieces.completion()

    def _request(self, blocks: Sequence[Block], settings: ServerSettings) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self._options.model,
            "messages": [{"role": "user", "content": list(blocks)}],
            "max_completion_tokens": self._options.max_tokens,
            "extra_body": dict(settings.extra_body),
        }
        request |= {"temperature": self._options.temperature} if self._options.temperature is not None else {}
        request |= {"seed": settings.seed} if settings.seed is not None and self._options.temperature else {}
        return request

    def _body(self, blocks: Sequence[Block], settings: ServerSettings) -> str:
        with self._failures():
            return self._client.chat.completions.with_raw_response.create(**self._request(blocks, settings)).text

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Failures of the client as those of this module."""
        import openai

        try:
            yield
        except openai.APIConnectionError as error:
            raise _TroubleError(
                f"{self._client.base_url} does not answer: {error.__cause__ or error} "
                f"(asked {self._options.max_attempts} times)"
            ) from None
        except openai.APIStatusError as error:
            raise _failure(error, self._options.model) from None

    @contextmanager
    def _broken_answer(self) -> Iterator[None]:
        """Failures in the midst of an answer: it is not asked for again, for somebody has read the first half."""
        import httpx
        import openai

        try:
            yield
        except (openai.APIError, httpx.HTTPError, ValueError) as error:  # of ValueErrors, a piece that is no JSON
            raise _RequestError(f"the answer of {self._client.base_url} broke off ({error}): ask again") from None


class _Pieces:
    """The pieces of an answer that is streamed, put together. Servers differ in which fields they leave out."""

    def __init__(self) -> None:
        self.text = ""
        self._refusal = ""
        self._finish: str | None = None
        self._usage: Usage | None = None

    def add(self, chunk: Any) -> None:
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            self._usage = Usage.model_validate(usage, from_attributes=True)
        for choice in (getattr(chunk, "choices", None) or ())[:1]:
            delta = getattr(choice, "delta", None)
            self.text += getattr(delta, "content", None) or ""
            self._refusal += getattr(delta, "refusal", None) or ""
            self._finish = getattr(choice, "finish_reason", None) or self._finish

    def completion(self) -> Completion:
        """The whole.

        Raises:
            _RequestError: no piece says that it is whole.
        """
        if self._finish is None:
            what = f"ended after {len(self.text):,} letters without saying why" if self.text else "is no chat completion"
            raise _RequestError(f"the server's answer {what}; does it stream answers, and is --base-url right?")
        message = ChatMessage(content=self.text or None, refusal=self._refusal or None)
        return Completion(choices=[Choice(message=message, finish_reason=self._finish)], usage=self._usage)


def _failure(error: "APIStatusError", model: str) -> Exception:
    status = error.status_code
    problem = f"the server says {status} for the model {model!r}: {error.message[:MAX_PROBLEM]}"
    if status in STOPPING:
        return ServerError(f"{problem}. What to do: {ADVICE[status]}")
    if status in DENYING:
        return _DeniedError(f"{problem}. What to do: {ADVICE[status]}")
    return _TroubleError(problem) if status in PASSING else _RequestError(problem)


def _finish_of(choice: Choice) -> Finish:
    if choice.message.refusal or choice.finish_reason == "content_filter":
        return "refused"
    return "length" if choice.finish_reason == "length" else "stop"


def _reply(ask: Ask, form: AnswerForm, sent: SentVideo, completion: Completion) -> Reply:
    choice, usage = completion.choices[0], completion.usage or Usage()
    return Reply(
        question_id=ask.question_id,
        text=choice.message.content or choice.message.refusal or "",
        coordinate_space=form.space,
        frame_size=ask.source_size,
        processed_size=sent.processed_size if form.space == "model" else None,
        fps=sent.fps,
        frame_times=sent.frame_times,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        finish=_finish_of(choice),
    )


# --- asking -----------------------------------------------------------------------------------------------------------


class ServerBackend:
    """A model behind a server. Videos are decoded while other questions are under way, each once."""

    def __init__(self, settings: ServerSettings, media: MediaSettings, form: AnswerForm) -> None:
        """Asks nothing yet.

        Args:
            settings: whom to ask, and how.
            media: how a video becomes frames; with ``send`` other than ``frames`` only ``audio`` counts, for the prompt.
            form: of the answers.

        Raises:
            ServerError: there is no key or no such address, or boxes are asked for in pixels of frames that a server makes,
                or sound of frames that have none.
        """
        if settings.send != "frames" and form.space == "model":
            raise ServerError(
                f"--send {settings.send}: the server resizes the frames and does not say to what size, so boxes in their "
                "pixels cannot be read: give --coordinate-space norm1000 or source, or --send frames"
            )
        if settings.send == "frames" and media.audio:
            raise ServerError("--audio on: frames have no sound; give --send video or url to a model that hears")
        try:
            self._chat = _VideoChat(settings.chat)
        except StageError as error:
            raise ServerError(str(error)) from None
        self._settings, self._media, self._form = settings, media, form
        self._sent = _SentOnce(self._make, settings.concurrency + 1)

    def answers(self, asks: Sequence[Ask]) -> Iterator[Reply | Unanswered]:
        """Asks all of them; each comes back exactly once, as soon as it is known.

        A question at which the server did not answer comes back as `Unanswered` once another one, asked later, is answered.
        When as many as are under way at once (three at least) have gone without an answer and none was answered between, or
        none was in the whole run, the server is down: those do not come back, and a later run asks them again. Nor do those
        come back that it refused, if they are the first of the run, as many, and of three videos (or all there are).

        When it is stopped, what is answered by then comes back still; what is under way is not waited for, and the backend
        is of no further use.

        Raises:
            ServerError: the server cannot be used, is down, or refuses everything.
        """
        pending: set[Future[_Result]] = set()
        try:
            yield from self._judged(sorted(asks, key=lambda ask: str(ask.video)), pending)
        except (ServerError, KeyboardInterrupt):
            yield from _answered_by_now(pending)
            raise
        finally:
            if pending:
                self._chat.close()

    def stream(self, ask: Ask) -> Generator[Partial | Reply | Unanswered, None, None]:
        """The answer to one question while it is written. When it is closed, the connection is given up with the next piece.

        Raises:
            ServerError: the server cannot be used, refuses the request, or breaks off its answer: no other question tells
                whose fault it is, and what a server says is for whoever runs it.
        """
        told = _Told()

        def work(unwanted: threading.Event) -> Reply | Unanswered:
            return self._watched_answer(ask, told, unwanted)

        return watched(work, lambda: told.partial(ask, self._form))

    def _watched_answer(self, ask: Ask, told: "_Told", unwanted: threading.Event) -> Reply | Unanswered:
        try:
            sent = told.sent = self._sent(ask.video)
            blocks = [*sent.blocks, _text_block(self._prompt(ask, sent))]
            if unwanted.is_set():
                return Unanswered(ask.question_id, LEFT)
            completion = self._chat.watch(blocks, self._settings, told.tell, unwanted)
        except (VideoError, PromptError, OSError) as error:
            return Unanswered(ask.question_id, str(error))
        except (_RequestError, _TroubleError) as error:
            raise ServerError(str(error)) from None
        return _reply(ask, self._form, sent, completion)

    def _judged(self, asks: Sequence[Ask], pending: "set[Future[_Result]]") -> Iterator[Reply | Unanswered]:
        """What comes of each, as it comes; ``pending`` are at any time those of which nothing has come back yet."""
        waiting = iter(asks)
        judge = _Judge(self._settings.concurrency, len({ask.video for ask in asks}))
        while True:
            for ask in islice(waiting, self._settings.concurrency - len(pending)):
                pending.add(in_background(partial(self._asked, ask, judge.answered)))
            if not pending:
                break
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                pending.discard(future)
                yield from judge.told(future.result())
        yield from judge.ended()

    def _asked(self, ask: Ask, answered: threading.Event) -> "_Result":
        """Asks one question; ``answered`` tells all of a run that one was."""
        try:
            sent = self._sent(ask.video)
            asked_at = time.monotonic()
            completion = self._chat.ask([*sent.blocks, _text_block(self._prompt(ask, sent))], self._settings)
        except _RequestError as error:
            return _Refused(Unanswered(ask.question_id, str(error)), ask.video)
        except (VideoError, PromptError, OSError) as error:
            return Unanswered(ask.question_id, str(error))
        except _TroubleError as error:
            if isinstance(error, _DeniedError) and not answered.is_set():
                raise ServerError(str(error)) from None
            return _InDoubt(Unanswered(ask.question_id, str(error)), time.monotonic())
        answered.set()
        return _Answered(_reply(ask, self._form, sent, completion), asked_at)

    def _prompt(self, ask: Ask, sent: SentVideo) -> str:
        size = sent.processed_size or ask.source_size
        return prompt_text(ask.question, ask.task, self._form, size, ask.source_size, self._media.audio)

    def _make(self, path: Path) -> SentVideo:
        if self._settings.send == "video":
            return file_sent(path)
        if self._settings.send == "url":
            return address_sent(path, self._settings.url_prefix, self._settings.videos)
        return frames_sent(read_clip(path, self._media))


class _Told:
    """What is known of an answer that is being written: what was sent of the video, then the text so far."""

    def __init__(self) -> None:
        self.sent: SentVideo | None = None
        self._text = ""

    def tell(self, text: str) -> None:
        self._text = text

    def partial(self, ask: Ask, form: AnswerForm) -> Partial:
        size = self.sent.processed_size if self.sent and form.space == "model" else None
        return Partial(ask.question_id, self._text, size)


@dataclass(frozen=True, slots=True)
class _Answered:
    """A reply, and when its question went out: one that went out earlier says nothing of a server that fell silent since."""

    reply: Reply
    asked_at: float


@dataclass(frozen=True, slots=True)
class _InDoubt:
    """A question at which the server did not answer: what becomes of it if others are answered, and when it was given up."""

    given_up: Unanswered
    at: float


@dataclass(frozen=True, slots=True)
class _Refused:
    """A question that the server refused, or broke on: what becomes of it if others are answered."""

    given_up: Unanswered
    video: Path


_Result = _Answered | _InDoubt | _Refused | Unanswered


class _Judge:
    """Tells what is a question's fault from what is the server's, by what came of the others of a run."""

    def __init__(self, concurrency: int, videos: int) -> None:
        self.answered = threading.Event()
        self._concurrency, self._videos = concurrency, videos
        self._in_doubt: list[_InDoubt] = []
        self._refused: list[_Refused] = []

    def told(self, result: _Result) -> Iterator[Reply | Unanswered]:
        """What can be handed on, now that this came.

        Raises:
            ServerError: the server is down, or refuses everything.
        """
        if isinstance(result, Unanswered):
            yield result
        elif isinstance(result, _InDoubt):
            self._in_doubt.append(result)
            if len(self._in_doubt) >= max(LEAST_IN_DOUBT, self._concurrency):
                raise _down(self._in_doubt)
        elif isinstance(result, _Refused):
            self._refused.append(result)
            yield from self._freed() if self.answered.is_set() else self._held()
        else:
            yield result.reply
            yield from self._freed()
            yield from (own.given_up for own in self._in_doubt if own.at <= result.asked_at)
            self._in_doubt = [own for own in self._in_doubt if own.at > result.asked_at]

    def ended(self) -> Iterator[Unanswered]:
        """What was still held when all had come.

        Raises:
            ServerError: the server is down.
        """
        if self._in_doubt and not self.answered.is_set():
            raise _down(self._in_doubt)
        yield from self._freed()
        yield from (own.given_up for own in self._in_doubt)

    def _freed(self) -> Iterator[Unanswered]:
        freed, self._refused = self._refused, []
        return (own.given_up for own in freed)

    def _held(self) -> Iterator[Unanswered]:
        # All questions of one video may be too long; of several, the server is more likely to be at fault.
        videos = len({own.video for own in self._refused})
        if len(self._refused) >= max(LEAST_REFUSED, self._concurrency) and videos >= min(LEAST_REFUSED, self._videos):
            raise _refusing(self._refused)
        return iter(())


def _answered_by_now(pending: "set[Future[_Result]]") -> Iterator[Reply]:
    for future in [own for own in pending if own.done()]:
        if future.exception() is None and isinstance(result := future.result(), _Answered):
            yield result.reply


def _refusing(refused: Sequence[_Refused]) -> ServerError:
    return ServerError(
        f"{refused[-1].given_up.reason}; so it was with all of the first {len(refused)} questions, and none was answered. "
        "Are the options right for this server (--model, --send, --max-frames, --extra-body)? None of these questions "
        "counts as failed: run again to ask them"
    )


def _down(in_doubt: Sequence[_InDoubt]) -> ServerError:
    return ServerError(
        f"{in_doubt[-1].given_up.reason}; {len(in_doubt)} questions went without an answer, and none was answered between. "
        "Is the server running? What was answered is kept: run again to go on"
    )
