"""What a trainer sees while a run lasts: a line a logged step, and pictures of answers, in the trackers in use.

`RunProgress` stands in for the raw mappings that transformers prints. `AnswerPictures` draws a few of the latest
completions, with their boxes on the frame and both spans on the time line, into ``OUTPUT/_answers/`` and sends them to
TensorBoard, wandb and trackio, so far as ``report_to`` names them and they are installed. A video that can no longer be read
costs its picture and not the run.
"""

import logging
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any
from typing import Final

import numpy as np
from PIL import Image
from tqdm import tqdm
from transformers import PrinterCallback
from transformers import ProgressCallback
from transformers import TrainerCallback
from transformers.integrations.integration_utils import TensorBoardCallback

from r_avst.dataset_builder.video import VideoError
from r_avst.dataset_builder.video import read_frames
from r_avst.metrics.avst_metrics.answers import parse_answer
from r_avst.metrics.avst_metrics.coordinates import Size
from r_avst.metrics.avst_metrics.coordinates import checked_size
from r_avst.model_cards.run_section import COMPONENTS

from .answer_form import AnswerForm
from .answer_form import read_answer
from .answer_pictures import draw_answer
from .answer_pictures import time_to_show
from .run_report import is_training_log
from .run_report import put_bytes

FOLDER: Final = "_answers"
LAST_PICTURE: Final = 0.05  # seconds before the end: lengths in headers are rounded, and at the end there is no frame
_LOG = logging.getLogger(__name__)

Send = Callable[[Sequence[Image.Image], int], None]
"""Sends pictures of a step to a tracker."""


# --- the latest completions -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sample:
    """A completion with what is needed to draw it.

    ``completion`` is the model's text, ``truth`` the raw true answer with boxes in source pixels; sizes are width and height
    in pixels, ``duration`` is in seconds.
    """

    question_id: str
    video: Path
    completion: str
    truth: str
    source_size: Size
    processed_size: Size
    duration: float


class LatestCompletions:
    """Keeps the latest batch of completions, as `observe` is shown it."""

    def __init__(self) -> None:
        self.samples: tuple[Sample, ...] = ()

    def observe(
        self,
        *,
        prompts: Sequence[Sequence[Mapping[str, Any]]],
        completions: Sequence[Any],
        question_id: Sequence[str],
        truth: Sequence[str],
        source_size: Sequence[Sequence[int]],
        processed_size: Sequence[Sequence[int]],
        duration: Sequence[float],
        **columns: Any,
    ) -> None:
        """Takes what TRL gives a reward function: lists of the same length, messages in the place of texts.

        Raises:
            ValueError: the lists differ in length, a prompt has no video, or a size is not two whole numbers.
        """
        rows = zip(question_id, prompts, completions, truth, source_size, processed_size, duration, strict=True)
        self.samples = tuple(
            Sample(
                name,
                video_of(prompt),
                completion_text(completion),
                true_text,
                checked_size(source, "source_size"),
                checked_size(processed, "processed_size"),
                seconds,
            )
            for name, prompt, completion, true_text, source, processed, seconds in rows
        )


def video_of(prompt: Sequence[Mapping[str, Any]]) -> Path:
    """The video of a prompt.

    Raises:
        ValueError: there is none.
    """
    for message in prompt:
        parts = message["content"] if isinstance(message["content"], list) else []
        for part in parts:
            if part.get("type") == "video":
                return Path(part["video"])
    raise ValueError("a prompt has no video; make prompts with r_avst.training.prompts.prompt_messages")


def completion_text(completion: Any) -> str:
    """The text of a completion: a string, or messages whose contents are strings or parts."""
    if isinstance(completion, str):
        return completion
    contents = [message["content"] for message in completion]
    return "".join(own if isinstance(own, str) else "".join(part.get("text") or "" for part in own) for own in contents)


def spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """At most ``count`` samples: of as many questions as there are first, as the completions of one question stand together.

    >>> spread([], 3)
    []
    """
    firsts = {sample.question_id: index for index, sample in reversed(list(enumerate(samples)))}
    order = [*sorted(firsts.values()), *(index for index in range(len(samples)) if index not in firsts.values())]
    return [samples[index] for index in order[:count]]


# --- pictures ---------------------------------------------------------------------------------------------------------


class AnswerPictures(TrainerCallback):
    """Draws some of the latest completions at every so many logged steps, from the main process.

    Args:
        latest: what the trainer's observer is.
        form: in which the completions are written.
        every: logged steps from one time to the next; the first logged step is one.
        count: pictures a time.
        decoder: of `r_avst.dataset_builder.video.DECODERS`.
        senders: to the trackers, see `senders_of`.

    Raises:
        ValueError: ``every`` or ``count`` is below 1.
    """

    def __init__(
        self, latest: LatestCompletions, form: AnswerForm, every: int, count: int, decoder: str, senders: Sequence[Send]
    ) -> None:
        if every < 1 or count < 1:
            raise ValueError(f"every is {every} and count {count}; both must be whole numbers from 1")
        self.latest, self.form, self.every, self.count, self.decoder = latest, form, every, count, decoder
        self.senders = list(senders)
        self._logged = 0

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Draws, writes and sends, if it is time to."""
        if not state.is_world_process_zero or not is_training_log(logs or {}):
            return
        if self._logged % self.every == 0:
            self._show(Path(args.output_dir) / FOLDER, state.global_step)
        self._logged += 1

    def _show(self, folder: Path, step: int) -> None:
        pictures = list(drawn(spread(self.latest.samples, self.count), self.form, self.decoder))
        for index, picture in enumerate(pictures):
            put_bytes(folder / f"step_{step:05d}_{index}.png", _png(picture))
        for send in self.senders if pictures else ():
            send(pictures, step)


def drawn(samples: Iterable[Sample], form: AnswerForm, decoder: str) -> Iterator[Image.Image]:
    """A picture of each sample; without those whose video cannot be read now, which is logged as a warning."""
    for sample in samples:
        try:
            yield draw_sample(sample, form, decoder)
        except VideoError as error:
            _LOG.warning("no picture of the answer to %s: %s", sample.question_id, error)


def draw_sample(sample: Sample, form: AnswerForm, decoder: str) -> Image.Image:
    """The picture of a completion on the frame of the time that shows most of its truth.

    Raises:
        VideoError: the video cannot be read.
        FrameSizeError: its frames are not of the size that the sample says.
    """
    truth = parse_answer(sample.truth).answer
    predicted = read_answer(sample.completion, form, sample.source_size, sample.processed_size).answer
    shown = max(0.0, min(time_to_show(truth, predicted), sample.duration - LAST_PICTURE))
    frame = next(read_frames(sample.video, [shown], decoder))
    return draw_answer(frame.image, shown, predicted, truth, sample.source_size, sample.duration, sample.question_id)


def _png(picture: Image.Image) -> bytes:
    made = BytesIO()
    picture.save(made, format="PNG")
    return made.getvalue()


# --- trackers ---------------------------------------------------------------------------------------------------------


def senders_of(trainer: Any) -> list[Send]:
    """What sends pictures to the trackers that a trainer reports to and that are installed."""
    named = set(trainer.args.report_to)
    makers: dict[str, Callable[[], Send]] = {
        "tensorboard": lambda: _tensorboard(trainer.callback_handler.callbacks),
        "wandb": lambda: _send_to_wandb,
        "trackio": lambda: _send_to_trackio,
    }
    return [make() for name, make in makers.items() if name in named and find_spec(name)]


def _tensorboard(callbacks: Sequence[Any]) -> Send:
    def send(pictures: Sequence[Image.Image], step: int) -> None:
        writers = [own.tb_writer for own in callbacks if isinstance(own, TensorBoardCallback) and own.tb_writer]
        for writer in writers:
            for index, picture in enumerate(pictures):
                writer.add_image(f"answers/{index}", np.asarray(picture), step, dataformats="HWC")
            writer.flush()

    return send


def _send_to_wandb(pictures: Sequence[Image.Image], step: int) -> None:
    import wandb

    if wandb.run is not None:
        wandb.log({"answers": [wandb.Image(picture) for picture in pictures], "train/global_step": step})


def _send_to_trackio(pictures: Sequence[Image.Image], step: int) -> None:
    import trackio

    named = {f"answers/{index}": trackio.Image(picture) for index, picture in enumerate(pictures)}
    trackio.log({**named, "train/global_step": step})


# --- progress ---------------------------------------------------------------------------------------------------------


class RunProgress(ProgressCallback):
    """Transformers' progress bar, with a readable line a logged step in the place of the raw mapping. Main process only."""

    def __init__(self) -> None:
        super().__init__()
        self.training_bar: Any = None
        self._since = 0.0
        self._step = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Opens the bar, hidden where ``disable_tqdm`` says so; the lines are printed all the same."""
        if state.is_world_process_zero:
            self.training_bar = tqdm(total=state.max_steps, initial=state.global_step, disable=args.disable_tqdm)
        self.current_step = self._step = state.global_step
        self._since = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Prints the line."""
        if not state.is_world_process_zero or not logs:
            return
        if not is_training_log(logs):
            tqdm.write(other_line(logs, state.global_step))
            return
        now, steps = time.monotonic(), state.global_step - self._step
        pace = (now - self._since) / steps if steps else None
        tqdm.write(progress_line(logs, state.global_step, state.max_steps, pace))
        self._since, self._step = now, state.global_step


def progress_line(logs: Mapping[str, Any], step: int, planned_steps: int, seconds_a_step: float | None) -> str:
    """A logged step in one line; a figure that was not logged, or has no value, is left out or shown as "-".

    >>> progress_line({"reward": 1.25, "rewards/format/mean": 0.75, "rewards/object/mean": None, "loss": 0.5}, 3, 90, 2.0)
    'step 3/90 | reward 1.25 (format 0.75, object -) | loss 0.5 | 2 s/step'
    """
    named = {"loss": "loss", "accuracy": "mean_token_accuracy", "length": "completions/mean_length", "kl": "kl"}
    shares = {"truncated": "completions/clipped_ratio", "zero-advantage": "frac_reward_zero_std"}
    parts = [
        f"step {step}/{planned_steps}",
        *_reward_part(logs),
        *(f"{what} {_short(logs[name])}" for what, name in named.items() if name in logs),
        *(f"{what} {_percent(logs[name])}" for what, name in shares.items() if name in logs),
        *([f"{_short(seconds_a_step)} s/step"] if seconds_a_step is not None else []),
    ]
    return " | ".join(parts)


def other_line(logs: Mapping[str, Any], step: int) -> str:
    """An evaluation, or the summary at the end, in one line.

    >>> other_line({"eval_loss": 0.123456, "epoch": 1.0}, 10)
    'after step 10: eval_loss 0.1235, epoch 1'
    """
    named = [f"{name} {_short(value)}" for name, value in logs.items() if name != "total_flos"]
    return f"after step {step}: {', '.join(named)}"


def _reward_part(logs: Mapping[str, Any]) -> Iterator[str]:
    if "reward" in logs:
        parts = [f"{name.split('/')[1]} {_short(logs[name])}" for name in COMPONENTS if name in logs]
        yield f"reward {_short(logs['reward'])}" + (f" ({', '.join(parts)})" if parts else "")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"


def _percent(share: Any) -> str:
    return f"{share:.0%}" if isinstance(share, int | float) else "-"


def use_run_progress(trainer: Any) -> None:
    """Puts `RunProgress` in the place of what a trainer prints of itself."""
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(RunProgress())
