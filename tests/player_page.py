"""A page that holds a player and nothing else, and films for it in which a square moves with every frame.

Run as a script it writes the films to a folder, serves the page and prints its address.
"""

import sys
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import gradio as gr
import numpy as np
from numpy.typing import NDArray

from r_avst.dataset_builder.video import picture_start
from r_avst.metrics.avst_metrics.overlap import Box
from r_avst.space.overlay import player_component
from r_avst.space.scenes import Layer
from r_avst.space.scenes import Scene
from r_avst.space.scenes import ShownObject
from r_avst.space.scenes import ShownTrack
from r_avst.space.scenes import view

HERE = Path(__file__).parent
SIDE = 60
# Pixels a frame: a box of the frame before or after lies visibly beside the square. Even, as colours are stored for 2 x 2.
STEP = 6, 4
RATE = 48_000
TONE = 2.0, 4.0  # seconds in which a tone sounds
HOSTILE = "<img src=x onerror=\"window.pwned=1\"> ${window.pwned=2} {{constructor.constructor('window.pwned=3')()}} `'\""
RTL = "\u202e\u202bكلب</bdi>\u202e"  # an override to the other direction that is never taken back


@dataclass(frozen=True, slots=True)
class Film:
    """``ticks`` of ``tick`` seconds at which the pictures are shown, from ``start`` seconds of the file's clock on."""

    name: str
    size: tuple[int, int] = (640, 360)
    ticks: tuple[int, ...] = tuple(range(200))
    tick: Fraction = Fraction(1, 25)
    start: float = 0.0
    sound_start: float | None = 0.0
    codec: str = "libx264"
    speeds: tuple[int, int] = STEP

    @property
    def times(self) -> list[float]:
        return [float((tick - self.ticks[0]) * self.tick) for tick in self.ticks]

    @property
    def seconds(self) -> float:
        return float((self.ticks[-1] - self.ticks[0] + 1) * self.tick)


VARIABLE = tuple(np.cumsum([1, 3, 2, 9, 1, 4, 2, 2, 6, 1] * 16).tolist())
FILMS = [
    Film("moving.mp4"),
    Film("variable.mp4", ticks=VARIABLE, tick=Fraction(1, 60), sound_start=None),
    Film("portrait.mp4", size=(240, 426), ticks=tuple(range(100))),
    Film("late.mp4", ticks=tuple(range(100)), start=0.8),
    Film("later.mp4", ticks=tuple(range(100)), start=1.4, sound_start=0.6),
    Film("silent late.mp4", ticks=tuple(range(100)), start=1.2, sound_start=None),
    Film("late.mkv", ticks=tuple(range(100)), start=0.8),
    Film("later.mkv", ticks=tuple(range(100)), start=1.4, sound_start=0.6),
    Film("late.webm", ticks=tuple(range(50)), start=0.8, sound_start=None, codec="libvpx"),
    Film("unplayable.mkv", ticks=tuple(range(50)), sound_start=None, codec="mpeg4"),
]  # fmt: skip


def square_box(film: Film, index: int) -> Box:
    """Where the square is in a frame; it goes to and fro."""
    x, y = (_to_and_fro(speed * index, most - SIDE) for speed, most in zip(film.speeds, film.size, strict=True))
    return (float(x), float(y), float(x + SIDE), float(y + SIDE))


def _to_and_fro(way: int, most: int) -> int:
    return most - abs(way % (2 * most) - most)


def picture(film: Film, index: int) -> NDArray[np.uint8]:
    """Red on blue."""
    found = np.full((film.size[1], film.size[0], 3), (0, 0, 150), np.uint8)
    x1, y1, x2, y2 = (int(edge) for edge in square_box(film, index))
    found[y1:y2, x1:x2] = (230, 20, 20)
    return found


def write_film(film: Film, path: Path) -> None:
    with av.open(str(path), "w") as container:
        quality = {"crf": "14", "g": "25", "preset": "veryfast"} if film.codec == "libx264" else {"b": "4M", "g": "25"}
        stream: Any = container.add_stream(film.codec, rate=round(1 / film.tick), options=quality)
        stream.width, stream.height, stream.pix_fmt = *film.size, "yuv420p"
        stream.codec_context.time_base = film.tick
        sound: Any = None if film.sound_start is None else container.add_stream("aac", rate=RATE, layout="mono")
        for index, tick in enumerate(film.ticks):
            frame = av.VideoFrame.from_ndarray(picture(film, index), format="rgb24")
            frame.pts, frame.time_base = tick + round(film.start / film.tick), film.tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            _write_tone(container, sound, film)


def _write_tone(container: Any, stream: Any, film: Film) -> None:
    times = np.arange(round(film.seconds * RATE)) / RATE
    samples = 0.3 * np.sin(2 * np.pi * 440 * times) * ((times >= TONE[0]) & (times < TONE[1]))
    for first in range(0, len(samples), 1024):
        frame = av.AudioFrame.from_ndarray(samples[None, first : first + 1024].astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = first + round((film.sound_start or 0) * RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def waveform(film: Film) -> dict[str, Any] | None:
    """In 400 parts."""
    if film.sound_start is None:
        return None
    peaks = [0.3 if TONE[0] <= place / 400 * film.seconds < TONE[1] else 0.0 for place in range(400)]
    return {"peaks": peaks, "seconds": film.seconds}


# --- scenes -----------------------------------------------------------------------------------------------------------


def layer(name: str, tracks: Sequence[ShownTrack], span: tuple[float, float] | None = None, **fields: Any) -> Layer:
    empty: dict[str, Any] = {"curve": (), "scores": {}, "text": "<answer></answer>", "problems": ()}
    return Layer(name=name, truth=name == "truth", span=span, tracks=tuple(tracks), **(empty | fields))


def moved(box: Box, x: float, y: float) -> Box:
    return (box[0] + x, box[1] + y, box[2] + x, box[3] + y)


def every_frame(film: Film, name: str = "red square") -> ShownTrack:
    """Boxes at each frame's own time."""
    return ShownTrack(0, name, tuple((time, (square_box(film, place),)) for place, time in enumerate(film.times)))


def every_second(film: Film, name: str, by: tuple[float, float] = (0, 0), place: int = 0) -> ShownTrack:
    """Boxes at full seconds, where the square is then, or so far beside it."""
    at = [np.searchsorted(film.times, second + 1e-6, side="right") - 1 for second in range(int(film.seconds))]
    frames = ((float(second), (moved(square_box(film, int(index)), *by),)) for second, index in enumerate(at) if index >= 0)
    return ShownTrack(place, name, tuple(frames))


CURVE = ((0.0, 1.0), (1.0, 0.5), (2.0, 0.0), (3.0, None), (4.0, None), (5.0, 1.0), (6.0, 1.0), (7.0, 0.25))


def film_scene(film: Film, url: str | None) -> Scene:
    """The truth at each frame, a model right at each second, and another that is beside it and ends early."""
    truth = layer("truth", [every_frame(film)], (1.0, 3.0), text="<answer>\n<object>red square</object>\n</answer>")
    scores = {"tIoU": 0.4567, "vIoU": None, "object_f1": 1.0}
    one = layer("model one", [every_second(film, "red box")], (2.0, 3.5), curve=CURVE, scores=scores)
    beside = every_second(film, "scarlet thing", (24, 16))
    ended = replace(beside, frames=(*beside.frames[:2], (2.0, ()), *beside.frames[4:]))
    halved = tuple((time, None if value is None else value / 2) for time, value in CURVE)
    tracks = [ended, every_second(film, "ghost", (90, -40), 1)]
    problems = ("no_span: none",)
    two = layer("model two", tracks, (0.5, 1.0), scores=scores | {"vIoU": 0.25}, curve=halved, problems=problems)
    return Scene(
        question_id=f"{film.name}-0",
        video_id=film.name,
        task="spatio_temporal",
        question_type="when_where",
        events=("dog",),
        question="When is the red square seen, and where?",
        duration=film.seconds,
        frame=film.size,
        video=url,
        start=film.start,
        objects=(ShownObject("red square", True), ShownObject("ghost", None)),
        layers=(truth, one, two),
    )


def hostile_scene(film: Film) -> Scene:
    """Texts that want to be markup, to be endless, or to turn what stands beside them."""
    long = "long " * 20_000
    truth = layer("truth", [every_second(film, HOSTILE)], (1.0, 3.0), text=HOSTILE)
    names = [HOSTILE + "1", RTL, long]
    tracks = [every_second(film, name, (0, 30 * place), place) for place, name in enumerate(names)]
    models = [layer(name, tracks, text=long, problems=(HOSTILE, RTL, long), scores={HOSTILE: 0.5}) for name in names]
    objects = tuple(ShownObject(name, None) for name in (HOSTILE, RTL, long))
    plain = film_scene(film, None)
    return replace(plain, question=HOSTILE + RTL, video_id=HOSTILE, objects=objects, layers=(truth, *models))


def scenes(folder: Path) -> dict[str, Scene]:
    """By name: one a film, one without its film, one of hostile texts."""
    found = {film.name: film_scene(film, f"gradio_api/file={folder.absolute() / film.name}") for film in FILMS}
    found = {name: replace(own, start=picture_start(folder / name)) for name, own in found.items()}
    return found | {"absent": film_scene(replace(FILMS[0], name="absent"), None), "hostile": hostile_scene(FILMS[0])}


# --- the page ---------------------------------------------------------------------------------------------------------


def server_functions(folder: Path) -> list[Callable[[str], Any]]:
    films = {film.name: film for film in FILMS}

    def scene(name: str) -> dict[str, Any]:
        return view(scenes(folder)[name])

    def media(name: str) -> dict[str, Any]:
        return {"frame_times": films[name].times, "sound": waveform(films[name])} if name in films else {}

    def playable(name: str) -> dict[str, Any] | None:
        copy = {"url": f"gradio_api/file={folder.absolute() / 'moving.mp4'}", "start": 0.0}
        return copy if name == "unplayable.mkv" else None

    return [scene, media, playable]


def main(folder: Path) -> None:
    for film in FILMS:
        write_film(film, folder / film.name)
    page = gr.Blocks(title="Player", analytics_enabled=False)
    with page:
        player_component("player_page", {}, server_functions(folder), HERE)
    _, url, _ = page.launch(
        allowed_paths=[str(folder)], ssr_mode=False, footer_links=[], quiet=True, prevent_thread_lock=True
    )
    print(url, flush=True)
    page.block_thread()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
