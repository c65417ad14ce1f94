"""Benchmarks of predicting: questions a second of a tiny random Qwen2.5-VL, and memory as questions grow in number.

As a program it answers so many questions of as many clips and prints the peak of its memory in megabytes::

    PYTHONPATH=tests python bench/predict_bench.py FOLDER 16
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import torch
from measure import Row
from measure import median_seconds
from peak_memory import peak_memory
from tiny_families import load_tiny
from tiny_families import tiny_family
from transformers.video_utils import load_video
from written_videos import B_FRAMES
from written_videos import write_numbered

from r_avst.training.answer_form import AnswerForm
from r_avst.training.asking import Ask
from r_avst.training.asking import Reply
from r_avst.training.clips import MediaSettings
from r_avst.training.families import FAMILIES
from r_avst.training.model_backend import Decoding
from r_avst.training.model_backend import ModelBackend
from r_avst.training.prompts import prompt_messages
from r_avst.training.prompts import prompt_text

FAMILY = FAMILIES["qwen2.5-vl"]
SETTINGS = MediaSettings(fps=1.0, max_frames=64, min_pixels=784, max_pixels=784 * 100, audio=False, decoder="pyav")
FORM = AnswerForm("model", 1, 1)
DECODING = Decoding(max_new_tokens=128, batch_size=4, temperature=0.0, seed=0)  # a random model never ends an answer
# The released test split has 1.5 questions a video, which lasts 42 s in the mean; its boxes are a second apart.
CLIPS, QUESTIONS, SECONDS, RATE, SIZE = 12, 2, 40, 30, (640, 360)
FEW, MANY = 64, 256  # questions, each of a clip of its own; below some dozens the allocator is still filling its arenas
FOLDER = tempfile.TemporaryDirectory(prefix="r-avst-bench-")


def copies(source: Path, number: int) -> list[Path]:
    """So many files with the same pictures."""
    paths = [source.with_name(f"{source.stem}{copy:03}.mp4") for copy in range(number)]
    for path in paths:
        if not path.exists():
            path.hardlink_to(source)
    return paths


@cache
def asks() -> tuple[Ask, ...]:
    """H.264 with B-frames, a keyframe every 250 frames as x264 does."""
    options = {**B_FRAMES, "g": "250"}
    source = write_numbered(
        Path(FOLDER.name) / "clip.mp4", range(SECONDS * RATE), Fraction(1, RATE), options=options, size=SIZE
    )
    return tuple(
        Ask(f"{path.stem}-{number}", "temporal", f"When is it the time of number {number}?", path, SIZE, float(SECONDS))
        for path in copies(source, CLIPS)
        for number in range(QUESTIONS)
    )


@cache
def tiny() -> tuple[Any, Any]:
    return load_tiny(Path(FOLDER.name), FAMILY.name)


def answered(readers: int) -> Callable[[], list[str]]:
    def answers() -> list[str]:
        found = ModelBackend(*tiny(), FAMILY, SETTINGS, FORM, DECODING, readers).answers(asks())
        return [own.text for own in found if isinstance(own, Reply)]

    return answers


def by_plain_loop() -> list[str]:
    """What one writes at first: for each question its video is loaded by transformers, processed, and answered."""
    model, processor = tiny()
    texts = []
    for ask in asks():
        frames, metadata = load_video(str(ask.video), fps=SETTINGS.fps, backend="pyav")
        width, height = FAMILY.processed_size(processor, ask.source_size, len(frames), SETTINGS)
        text = prompt_text(ask.question, ask.task, FORM, (width, height), ask.source_size, audio=False)
        messages = prompt_messages(ask.video, text)
        limits = {"shortest_edge": SETTINGS.min_pixels, "longest_edge": SETTINGS.max_pixels}
        inputs = processor(
            text=[processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)],
            videos=[torch.from_numpy(frames).permute(0, 3, 1, 2)],
            videos_kwargs={"do_sample_frames": False, "fps": SETTINGS.fps, "video_metadata": [metadata], "size": limits},
            return_tensors="pt",
        )
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=DECODING.max_new_tokens, do_sample=False)
        texts.append(processor.tokenizer.decode(ids[0, inputs["input_ids"].size(1) :], skip_special_tokens=True))
    return texts


@cache
def seconds() -> tuple[float, float, float]:
    """Of all questions: overlapped, one after the other, by the plain loop; they take turns."""
    ours, serial, plain = answered(2), answered(0), by_plain_loop
    if not len(ours()) == len(serial()) == len(plain()) == len(asks()):
        raise RuntimeError("not every question was answered")
    overlapped, in_turn, loop = median_seconds(ours, serial, plain, runs=3)
    return overlapped, in_turn, loop


def predict_overlapped() -> Row:
    """Reading, encoding and generating at a time, against one after the other."""
    ours, serial, _ = seconds()
    number = len(asks())
    against = f"one after the other: {number / serial:.2f} questions/s"
    return Row("predict_overlapped", number / ours, "questions/s", against, serial / ours, "faster")


def predict_against_loop() -> Row:
    """All that the backend does, against the loop that one writes at first."""
    ours, _, plain = seconds()
    number = len(asks())
    against = (
        f"a loop with load_video and model.generate, {number} questions of {CLIPS} clips of {SECONDS} s, "
        f"{SIZE[0]} x {SIZE[1]}: {number / plain:.2f} questions/s"
    )
    return Row("predict", number / ours, "questions/s", against, plain / ours, "2 or better")


def predict_memory() -> Row:
    """Peak memory of a process that answers four times as many questions."""
    folder = Path(FOLDER.name) / "memory"
    folder.mkdir(exist_ok=True)
    tiny_family(folder, FAMILY.name)
    few, many = (_peak(folder, number) for number in (FEW, MANY))
    against = f"{FEW} questions: {few:.0f} MB; {MANY} here, each of a clip of its own"
    return Row("predict_memory", many, "MB", against, many / few, "1.05 or less")


def _peak(folder: Path, number: int) -> float:
    command = [sys.executable, __file__, str(folder), str(number)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "tests")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def answer(folder: Path, number: int) -> int:
    source = folder / "clip.mp4"
    if not source.exists():
        write_numbered(source, range(100), size=(320, 180))
    model, processor = load_tiny(folder, FAMILY.name)
    asked = [Ask(path.stem, "temporal", "When is it?", path, (320, 180), 10.0) for path in copies(source, number)]
    found = list(ModelBackend(model, processor, FAMILY, SETTINGS, FORM, DECODING).answers(asked))
    if not all(isinstance(own, Reply) for own in found) or len(found) != number:
        raise RuntimeError(f"not every question was answered: {found[0]}")
    print(peak_memory())
    return 0


BENCHMARKS = [predict_overlapped, predict_against_loop, predict_memory]

if __name__ == "__main__":
    sys.exit(answer(Path(sys.argv[1]), int(sys.argv[2])))
