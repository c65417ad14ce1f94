"""The tab on which a model is asked about an uploaded or recorded video, and its boxes appear while it writes.

What it is given by a visitor, a model or a server is shown by `page/ask.js` as text or on a canvas. A video, and what was
said of it, belongs to the session that brought it: the page names it by a token that is told to nobody else.
"""

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import Final
from typing import get_args
from weakref import WeakKeyDictionary

import gradio as gr
from gradio.context import Context
from gradio.utils import get_upload_folder

from r_avst.dataset_builder.question_forms import ask_about_object
from r_avst.dataset_builder.question_forms import ask_about_span
from r_avst.dataset_builder.records import WHEN
from r_avst.dataset_builder.records import WHEN_WHERE
from r_avst.dataset_builder.records import WHERE_SILENT
from r_avst.dataset_builder.records import WHERE_SOUNDING
from r_avst.metrics.avst_metrics.answers import ParsedAnswer
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.answers import is_visible
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.names import NameMatcher
from r_avst.metrics.avst_metrics.word_vectors import load_word_vectors
from r_avst.training.answer_form import AnswerForm
from r_avst.training.answer_form import read_answer
from r_avst.training.asking import Ask
from r_avst.training.asking import Finish
from r_avst.training.asking import Partial
from r_avst.training.asking import Reply
from r_avst.training.asking import StreamingBackend
from r_avst.training.asking import Unanswered
from r_avst.training.plans import ALONE
from r_avst.training.plans import Plan
from r_avst.training.plans import open_streaming_backend
from r_avst.training.streaming import BEAT

from .media import file_url
from .media import media_view
from .media import shown_start
from .overlay import player_component
from .scenes import Said
from .scenes import Scene
from .scenes import View
from .scenes import is_near
from .scenes import layers_of
from .scenes import view
from .uploads import Kept
from .uploads import Limits
from .uploads import Room
from .uploads import UploadedVideo
from .uploads import UploadError
from .uploads import Uploads

TASKS: Final[dict[Task, str]] = {
    "temporal": "When",
    "spatial": "What and where",
    "spatio_temporal": "When and where",
}
RECORDED: Final = (1280, 720)
"""Pixels that a camera is asked for: left to itself it may give more than is taken."""
THINGS: Final = ("dog", "car", "speaking person", "acoustic guitar")  # of the ready questions
FULL_LENGTH: Final = 10.0  # seconds that ready questions are about while there is no video
QUESTION_LETTERS: Final = 2000
WAITING: Final = 20  # questions of all visitors
HANDED_ON: Final = 1000  # requests that Gradio holds for the moment until they come to the line here
ANSWER_SECONDS: Final = 300  # from the moment a question's turn has come
AT_ONCE: Final = 4  # questions to a server; a model here writes one answer after the other
HIDDEN_SETTINGS: Final = ("extra_body", "weights")
FINISHES: Final[dict[Finish, str]] = {
    "stop": "the model ended its answer",
    "length": "the answer was cut off at its longest",
    "refused": "the model did not want to answer",
}
STOPPED: Final = "Stopped."
FAILED: Final = "The model could not be asked; whoever runs this page finds the reason on its terminal. You may try again."


class AskError(ValueError):
    """A question that cannot be put; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Asker:
    """A model that answers.

    Attributes:
        model: its name as it is shown.
        backend: the way to it.
        form: of its answers.
        settings: of its answers, for those who keep them.
        at_once: questions that it is asked at a time.
    """

    model: str
    backend: StreamingBackend
    form: AnswerForm
    settings: Mapping[str, Any]
    at_once: int


def open_asker(plan: Plan) -> Asker:
    """Loads the model of a plan, or opens a client of its server.

    Raises:
        PredictOptionError: there is no such checkpoint.
        ServerError: there is no key, or no such address.
    """
    given = plan.options.model
    name = Path(given).resolve().name if Path(given).is_dir() else given  # a folder of this machine is nobody's affair
    told = {key: value for key, value in plan.settings.items() if key not in HIDDEN_SETTINGS}
    at_once = 1 if plan.options.backend == "transformers" else AT_ONCE
    return Asker(name, open_streaming_backend(plan, ALONE), plan.form, {**told, "model": name}, at_once)


def ready_questions(task: Task, duration: float = FULL_LENGTH) -> list[str]:
    """Questions of a task in the words of the data set, about a video of so many seconds."""
    if task != "spatial":
        return [ask_about_object(WHEN if task == "temporal" else WHEN_WHERE, thing) for thing in THINGS]
    spans = [(0.0, duration), (0.0, duration / 2), (duration / 2, duration)]
    return [ask_about_span(kind, span) for kind in (WHERE_SOUNDING, WHERE_SILENT) for span in spans]


# --- a question under way ---------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Turn:
    """A question that waits for its turn, or whose turn has come; ``begun`` is when it came, ``over`` ends it."""

    kept: Kept
    ask: Ask
    begun: float = field(default_factory=time.monotonic)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.begun


class _Line:
    """The questions of all visitors in the order in which they came, one of each video; the first few have their turn.

    Gradio's own queue takes any number from one visitor.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._turns: list[_Turn] = []
        self._lock = threading.Lock()

    def join(self, turn: _Turn) -> None:
        """Puts a question behind the others.

        Raises:
            AskError: its visitor has one in the line, or the line is too long.
        """
        with self._lock:
            if any(own.kept is turn.kept for own in self._turns):
                raise AskError("Your question before this one has no answer yet: wait for it, or stop it.")
            if len(self._turns) >= self._at_once + WAITING:
                raise AskError(f"{WAITING} questions of others wait already: ask again in some minutes.")
            self._turns.append(turn)

    def before(self, turn: _Turn) -> int:
        """How many are to leave until a question has its turn; 0: it has it, or has left."""
        with self._lock:
            place = next((place for place, own in enumerate(self._turns, 1) if own is turn), 0)
            return max(0, place - self._at_once)

    def leave(self, turn: _Turn) -> None:
        """Ends a question; the next one's turn comes."""
        turn.over.set()
        with self._lock:
            self._turns = [own for own in self._turns if own is not turn]

    def end(self, kept: Kept) -> None:
        """Ends the question about a video, if there is one."""
        with self._lock:
            turn = next((own for own in self._turns if own.kept is kept), None)
        if turn is not None:
            self.leave(turn)


def _view(kept: Kept | None, scene: View | None, status: str, **more: Any) -> View:
    """What `page/ask.js` reads.

    ``token`` names the video, ``scene`` what the player shows (None: nothing), ``running`` says that more will come,
    ``problem`` that the status is one, ``answer`` is what can be downloaded.
    """
    token = kept.token if kept else None
    return {"token": token, "scene": scene, "status": status, "running": False, "problem": False, "answer": None, **more}


def _sent(shown: View) -> str:
    """A view as it goes to the page: as text, for what Gradio 6.31 sends of lists in lists that shrink is wrong.

    It holds no ``<``, so nothing in it can be taken for HTML.
    """
    return json.dumps(shown, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


class AskPage:
    """What the tab does: every request is checked, for anybody can send one.

    Args:
        asker: who answers.
        folder: for the videos of all visitors.
        limits: of a video.
        playable: begins, or looks at, a copy of a video that browsers can play; None: there is none to be had.
        forget: ends what was begun with a video that is gone, and deletes what was made of it; called by any thread.
        room: for all videos.
        seconds: that an answer may take.
    """

    def __init__(
        self,
        asker: Asker,
        folder: Path,
        limits: Limits,
        playable: Callable[[Path], View] | None = None,
        forget: Callable[[Path], None] | None = None,
        room: Room | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._asker, self._playable, self._forget, self._seconds = asker, playable, forget, seconds
        self._uploads = Uploads(folder, limits, self._dropped, room)
        self._names = NameMatcher(load_word_vectors("exact"))
        self._line = _Line(asker.at_once)
        # Goes with the video, though an answer to a visitor who left may still come.
        self._shown: WeakKeyDictionary[Kept, View] = WeakKeyDictionary()

    # --- a video ------------------------------------------------------------------------------------------------------

    def receive(self, path: str | None, task: str, request: gr.Request) -> tuple[Any, Any, Any]:
        """A video came, or went: for the component it came by, the page, and the ready questions."""
        session = _session(request)
        if path is None:
            return gr.skip(), self._left(session), gr.skip()
        try:
            kept = self._uploads.take(session, _received(path))
        except UploadError as error:
            return gr.update(value=None), _sent(_view(None, None, str(error), problem=True)), gr.skip()
        shown = _view(kept, self._scene(kept, _task(task), "", []), described_video(kept.video))
        return gr.skip(), self._show(kept, shown), gr.update(choices=ready_questions(_task(task), kept.video.duration))

    def _left(self, session: str) -> Any:
        """The page without a video; what it says stays where there was none, for that is why one was not taken."""
        kept = self._uploads.of_session(session)
        if kept is None:
            return gr.skip()
        self._uploads.drop(kept)
        return _sent(_view(None, None, ""))

    def end(self, request: gr.Request) -> None:
        """A session is over: nothing of it stays."""
        kept = self._uploads.of_session(_session(request))
        if kept is not None:
            self._uploads.drop(kept)

    def _dropped(self, kept: Kept) -> None:
        self._line.end(kept)
        if self._forget is not None:
            self._forget(kept.video.path)

    def choose_task(self, task: str, request: gr.Request) -> Any:
        """The ready questions of another task."""
        kept = self._uploads.of_session(_session(request))
        return gr.update(choices=ready_questions(_task(task), kept.video.duration if kept else FULL_LENGTH), value=None)

    # --- a question ---------------------------------------------------------------------------------------------------

    def ask(self, task: str, question: str, request: gr.Request) -> Iterator[str]:
        """What the page shows while the model answers; the last one has the answer, or says why there is none."""
        session = _session(request)
        kept = self._uploads.of_session(session)
        try:
            turn = self._joined(kept, task, question)
        except AskError as error:
            stands = self._shown.get(kept) if kept else None
            yield _sent({**(stands or _view(kept, None, "")), "status": str(error), "problem": True})
            return
        try:
            with closing(self._views(turn)) as views:
                for shown in views:
                    if self._uploads.of_session(session) is not turn.kept:
                        return  # what is said of a video that is gone would bring it back on the page
                    yield self._show(turn.kept, shown)
        finally:
            self._line.leave(turn)

    def stop(self, request: gr.Request) -> Any:
        """Ends the answer that is being written, or waited for; what stands of it stays."""
        kept = self._uploads.of_session(_session(request))
        shown = self._shown.get(kept) if kept else None
        if kept is None or shown is None or not shown["running"]:
            return gr.skip()
        self._line.end(kept)
        return self._show(kept, {**shown, "running": False, "problem": False, "status": STOPPED})

    def _joined(self, kept: Kept | None, task: str, question: str) -> _Turn:
        """A question that stands in the line now."""
        if kept is None:
            raise AskError("Upload or record a video first.")
        if task not in TASKS:
            raise AskError(f"There is no task {task!r:.80}; there are {', '.join(TASKS)}.")
        asked = question.strip() if isinstance(question, str) else ""
        if not asked:
            raise AskError("Type a question, or choose one.")
        if len(asked) > QUESTION_LETTERS:
            raise AskError(f"The question has {len(asked):,} letters; at most {QUESTION_LETTERS:,} are taken. Shorten it.")
        video = kept.video
        turn = _Turn(kept, Ask("upload", _task(task), asked, video.path, video.size, video.duration))
        self._line.join(turn)
        return turn

    def _views(self, turn: _Turn) -> Generator[View, None, None]:
        empty = self._scene(turn.kept, turn.ask.task, turn.ask.question, [])
        shown = _view(turn.kept, empty, "Reading the video …", running=True)
        while before := self._line.before(turn):
            yield {**shown, "status": described_wait(before)}
            turn.over.wait(BEAT)
        turn.begun = time.monotonic()
        if turn.over.is_set():  # while it waited
            yield {**shown, "running": False, "status": STOPPED}
            return
        yield shown
        try:
            yield from self._answering(turn, shown)
        except Exception:  # of whatever kind: the page serves others, and this visitor is told
            traceback.print_exc(file=sys.stderr)
            stands = self._shown.get(turn.kept, shown)
            yield {**stands, "running": False, "status": FAILED, "problem": True}

    def _answering(self, turn: _Turn, shown: View) -> Generator[View, None, None]:
        with closing(self._asker.backend.stream(turn.ask)) as items:
            for item in items:
                if (ended := self._ended_early(turn)) and isinstance(item, Partial):
                    yield {**shown, "running": False, "status": ended}
                    return
                shown = self._item_view(turn, item, shown)
                yield shown

    def _ended_early(self, turn: _Turn) -> str:
        if turn.over.is_set():
            return STOPPED
        return f"Stopped: an answer may take {self._seconds:,} s." if turn.seconds > self._seconds else ""

    def _item_view(self, turn: _Turn, item: Partial | Reply | Unanswered, before: View) -> View:
        if isinstance(item, Unanswered):
            reason = item.reason.replace(str(turn.ask.video), turn.kept.video.name)
            return {**before, "running": False, "status": f"There is no answer: {reason}", "problem": True}
        parsed = self._read(turn, item.text, item.processed_size)
        said = [Said(self._asker.model, parsed, item.text, {})]
        scene = self._scene(turn.kept, turn.ask.task, turn.ask.question, said)
        if isinstance(item, Partial):
            return _view(turn.kept, scene, described_partial(item, turn.seconds), running=True)
        answer = self._answer(turn, item, parsed)
        return _view(turn.kept, scene, described_reply(item, turn.seconds), answer=answer)

    def _read(self, turn: _Turn, text: str, processed: Size | None) -> ParsedAnswer:
        return read_answer(text, self._asker.form, turn.ask.source_size, processed or turn.ask.source_size)

    def _scene(self, kept: Kept, task: Task, question: str, said: list[Said]) -> View:
        video = kept.video
        objects, layers = layers_of(None, said, task, self._names)
        scene = Scene(
            question_id="upload",
            video_id=video.name,
            task=task,
            question_type="",
            events=(),
            question=question,
            duration=video.duration,
            frame=video.size,
            video=file_url(video.path),
            start=shown_start(video.path),
            objects=objects,
            layers=layers,
        )
        return view(scene)

    def _answer(self, turn: _Turn, reply: Reply, parsed: ParsedAnswer) -> View:
        """The answer for those who keep it: boxes in pixels of the video, times in seconds from its first frame on."""
        video = turn.kept.video
        return {
            "video": {"name": video.name, "width": video.size[0], "height": video.size[1], "duration": video.duration},
            "task": turn.ask.task,
            "question": turn.ask.question,
            "text": reply.text,
            "span": parsed.answer.span,
            "objects": [
                {"name": track.name, "boxes": [list(row) for row in track.rows if is_visible(row) and is_near(row)]}
                for track in parsed.answer.tracks
            ],
            "problems": [f"{problem.kind}: {problem.found}" for problem in parsed.problems],
            "finish": reply.finish,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "seconds": round(turn.seconds, 2),
            "settings": dict(self._asker.settings),
        }

    def _show(self, kept: Kept, shown: View) -> str:
        self._shown[kept] = shown
        return _sent(shown)

    # --- what the player asks for -------------------------------------------------------------------------------------

    def media_for(self, request: Any) -> View:
        """Of the video of a token: times of frames, and the sound."""
        kept = self._of(request)
        return media_view(kept.video.path) if kept else _gone()

    def playable_for(self, request: Any) -> View:
        """Of the video of a token: how far a copy is that browsers can play."""
        kept = self._of(request)
        if kept is None:
            return _gone()
        if self._playable is None:
            return {
                "done": 0.0,
                "url": None,
                "error": "Your browser cannot play this video; its boxes are shown all the same.",
            }
        return self._playable(kept.video.path)

    def _of(self, request: Any) -> Kept | None:
        token = request.get("token") if isinstance(request, dict) else None
        return self._uploads.of_token(token) if isinstance(token, str) else None


def _gone() -> View:
    return {"error": "This video is not here any more: upload it again."}


def _session(request: gr.Request) -> str:
    return str(request.session_hash)


def _task(task: str) -> Task:
    return next((own for own in get_args(Task) if own == task), "temporal")


def _received(path: str) -> Path:
    """A file that Gradio received: what it takes for one may also be a file that it serves.

    Raises:
        UploadError: it was not uploaded.
    """
    found = Path(path).resolve()
    if not found.is_relative_to(Path(get_upload_folder()).resolve()):
        raise UploadError("This file was not uploaded: upload it.")
    return found


# --- telling ----------------------------------------------------------------------------------------------------------


def described_video(video: UploadedVideo) -> str:
    """A video that was taken, in words."""
    width, height = video.size
    sound = "with sound" if video.has_sound else "without sound"
    return f"{video.name}: {video.duration:.1f} s, {width} x {height}, {sound}. Now ask about it."


def described_wait(before: int) -> str:
    """How long a question waits, in words."""
    others = "1 question of another visitor" if before == 1 else f"{before:,} questions of others"
    return f"Waiting: {others} to be answered before yours …"


def described_partial(partial: Partial, seconds: float) -> str:
    """How far an answer is, in words."""
    if not partial.text:
        return f"The model looks at the video … {seconds:.1f} s"
    return f"The model writes … {len(partial.text):,} letters, {seconds:.1f} s"


def described_reply(reply: Reply, seconds: float) -> str:
    """An answer that is there, in words."""
    counts = ((reply.prompt_tokens, "tokens read"), (reply.completion_tokens, "tokens written"))
    told = [f"{count:,} {what}" for count, what in counts if count is not None]
    return f"Done: {', '.join([*told, f'{seconds:.1f} s'])}; {FINISHES[reply.finish]}."


# --- the tab ----------------------------------------------------------------------------------------------------------


def add_ask_tab(
    asker: Asker | None,
    limits: Limits,
    scratch: Path,
    unavailable: str,
    playable: Callable[[Path], View] | None = None,
    forget: Callable[[Path], None] | None = None,
) -> None:
    """Adds what the tab holds to the one that is being built, and what ends a session to its page.

    Args:
        asker: who answers; None: the tab says only why nobody does.
        limits: of uploaded videos. Gradio itself must be told the size, as ``max_file_size``.
        scratch: a folder for the videos, deleted by the caller at the end.
        unavailable: why there is nobody to ask, and what to do.
        playable: see `AskPage`.
        forget: see `AskPage`.
    """
    if asker is None:
        gr.Markdown(unavailable)
        return
    folder = (scratch / "asked").absolute()
    gr.set_static_paths([folder])  # so that they are served, in parts, with the type that their ending says
    page = AskPage(asker, folder, limits, playable, forget)
    root = Context.root_block
    assert root is not None  # a tab stands on a page
    root.queue(max_size=HANDED_ON)
    root.unload(page.end)
    _add_form(page, asker.model, limits)


@dataclass(frozen=True, slots=True)
class _Form:
    """The components of the tab."""

    video: gr.Video
    task: gr.Radio
    ready: gr.Dropdown
    question: gr.Textbox
    ask: gr.Button
    stop: gr.Button
    shown: gr.HTML


def _add_form(page: AskPage, model: str, limits: Limits) -> None:
    with gr.Row():
        with gr.Column(min_width=300):
            gr.Markdown(f"Videos {limits}. They are deleted when you leave, after an hour at the latest.")
            video = _video_input(limits)
        with gr.Column(min_width=300):
            question = _question_inputs()
            with gr.Row():
                ask = gr.Button(f"Ask {model}", variant="primary", elem_id="ask-ask")
                stop = gr.Button("Stop", elem_id="ask-stop")
    shown = player_component("ask", _sent(_view(None, None, "")), _server_functions(page))
    form = _Form(video, *question, ask, stop, shown)
    _connect_inputs(page, form)
    _connect_asking(page, form)


def _video_input(limits: Limits) -> gr.Video:
    scale = min(1.0, limits.side / max(RECORDED))
    width, height = ({"ideal": round(side * scale)} for side in RECORDED)
    return gr.Video(
        label="Video",
        sources=["upload", "webcam"],
        include_audio=True,
        # Mirroring would start ffmpeg on a file not yet checked.
        webcam_options=gr.WebcamOptions(mirror=False, constraints={"video": {"width": width, "height": height}}),
        height=280,
        elem_id="ask-video",
    )


def _question_inputs() -> tuple[gr.Radio, gr.Dropdown, gr.Textbox]:
    task = gr.Radio([(label, own) for own, label in TASKS.items()], value="temporal", label="Task")
    ready = gr.Dropdown(ready_questions("temporal"), value=None, label="Ready questions", elem_id="ask-ready")
    label = f"Question, up to {QUESTION_LETTERS:,} letters"
    question = gr.Textbox(label=label, lines=2, max_length=QUESTION_LETTERS, elem_id="ask-question")
    return task, ready, question


def _connect_inputs(page: AskPage, form: _Form) -> None:
    past_questions: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
    form.task.change(page.choose_task, form.task, form.ready, api_visibility="private", **past_questions)
    form.ready.input(_chosen, form.ready, form.question, api_visibility="private", **past_questions)
    changed = [form.video, form.shown, form.ready]
    form.video.change(page.receive, [form.video, form.task], changed, api_name="video", **past_questions)


def _chosen(question: str | None) -> Any:
    """A ready question becomes the question; where none is chosen, what was typed stays."""
    return question or gr.skip()


def _connect_asking(page: AskPage, form: _Form) -> None:
    asking = gr.on(
        [form.ask.click, form.question.submit],
        page.ask,
        [form.task, form.question],
        form.shown,
        concurrency_limit=None,  # they wait in the page's own line
        show_progress="hidden",
        trigger_mode="once",
        api_name="ask",
    )
    form.stop.click(page.stop, None, form.shown, cancels=[asking], queue=False, show_progress="hidden", api_name="stop")


def _server_functions(page: AskPage) -> list[Callable[[Any], View]]:
    """What the player asks for, as functions: Gradio writes a mark on each, which a method does not take."""

    def media_for(request: Any) -> View:
        return page.media_for(request)

    def playable_for(request: Any) -> View:
        return page.playable_for(request)

    return [media_for, playable_for]
