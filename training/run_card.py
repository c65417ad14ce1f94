"""The card of a model that a run made, and the picture of its curves: rendered from the run's own `run.json`.

The card is that of `r-avst-cards model --run run.json`; here is what a training script calls at its end, and what draws.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Final

import numpy as np
from numpy.typing import NDArray

from r_avst.dataset_builder.figures import STYLE
from r_avst.dataset_builder.figures import TEXT
from r_avst.dataset_builder.line_files import put_text
from r_avst.model_cards.artefacts import CARD
from r_avst.model_cards.measured import ABSENT
from r_avst.model_cards.measured import CardError
from r_avst.model_cards.measured import Measured
from r_avst.model_cards.run_section import COMPONENTS
from r_avst.model_cards.run_section import CURVES
from r_avst.model_cards.run_section import RUN_FILE
from r_avst.model_cards.run_section import checksum_of
from r_avst.model_cards.run_section import read_run
from r_avst.model_cards.trained_model_card import ModelFacts
from r_avst.model_cards.trained_model_card import model_card

from .run_report import put_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE: Final = (9.0, 4.0)  # inches
SMOOTHED: Final = 20  # the running mean is over one logged step in so many
COLOURS: Final[Mapping[str, str]] = {
    "reward": TEXT,
    "rewards/format/mean": "#3b82d6",
    "rewards/object/mean": "#d0569a",
    "rewards/temporal/mean": "#c96a14",
    "rewards/spatial/mean": "#2a9454",
    "loss": TEXT,
    "mean_token_accuracy": "#158f96",
}
"""With a contrast of at least 3:1 to a white page and to a dark one, as in `r_avst.dataset_builder.figures`."""
PANELS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "grpo": (("reward", *COMPONENTS),),
    "sft": (("loss",), ("mean_token_accuracy",)),
}
"""By method the figures that are drawn together."""


def run_card(
    kind: str,
    run: Path,
    recipe: Path,
    *,
    scores: Path | None = None,
    dataset: Path | None = None,
    dataset_id: str | None = None,
    base_model: str | None = None,
    commit: str | None = None,
) -> str:
    """The whole README.md of the model that a run made; every figure of the run is one of its `run.json`.

    Args:
        kind: of `r_avst.model_cards.model_kinds.KINDS`.
        run: the `run.json`. Curves that `draw_curves` drew from it are shown if they lie beside it.
        recipe: the YAML that the run was started with.
        scores: of `r-avst-score --json` for the trained model.
        dataset: the folder of the data set, for its counts.
        dataset_id: the name of the data set on the Hub.
        base_model: the name on the Hub of what the run's local checkpoint goes back to.
        commit: of the code.

    Raises:
        CardError: a file is not of the form it should be, or Jinja2 is not installed.
    """
    facts = ModelFacts(
        scores=scores, recipe=recipe, run=run, dataset=dataset, dataset_id=dataset_id, base_model=base_model, commit=commit
    )
    return model_card(kind, facts)


def write_run_card(kind: str, folder: Path, recipe: Path, *, dataset_id: str | None, base_model: str | None) -> Path:
    """Draws the curves of the run in a folder and writes its README.md there; returns the path of the card.

    Raises:
        CardError: there is no `run.json` of a run, or matplotlib or Jinja2 is not installed.
    """
    run = folder / RUN_FILE
    draw_curves(run)
    card = folder / CARD
    put_text(card, run_card(kind, run, recipe, dataset_id=dataset_id, base_model=base_model))
    return card


# --- curves -----------------------------------------------------------------------------------------------------------


def draw_curves(run: Path) -> Path:
    """Draws what a run logged over its steps, as a PNG beside its `run.json`; returns the path.

    A thin line is each logged step, a thick one its running mean. The same file gives the same bytes.

    Raises:
        CardError: the file is no `run.json`, or matplotlib is not installed.
    """
    try:
        from matplotlib import style
    except ModuleNotFoundError as error:
        raise CardError(f"curves are drawn with matplotlib ({error}): pip install 'r-avst[train]'") from None
    found = read_run(run)
    path, made = run.with_name(CURVES), BytesIO()
    with style.context(["default", STYLE]):
        figure = _figure(found.file, PANELS[found.method or "grpo"])
        figure.savefig(made, format="png", metadata={"Software": None, "Run": checksum_of(run)})
    put_bytes(path, made.getvalue())
    return path


def _figure(run: Measured, panels: Sequence[Sequence[str]]) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained", dpi=120)
    rows = figure.subplots(1, len(panels), squeeze=False)
    for axes, names in zip(rows[0], panels, strict=True):
        for name in names:
            _draw(axes, name, *curve(run, name))
        _finish(axes, names)
    return figure


def _draw(axes: "Axes", name: str, steps: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    if not len(values):
        return
    label = name.removeprefix("rewards/").removesuffix("/mean").replace("_", " ")
    colour = COLOURS[name]
    axes.plot(steps, values, color=colour, linewidth=0.8, alpha=0.35)
    axes.plot(
        steps,
        running_mean(values),
        color=colour,
        linewidth=2.6 if name == "reward" else 1.8,
        label=label,
        marker=_marker(values),
    )


def _marker(values: NDArray[np.float64]) -> str:
    """A single step makes no line."""
    return "o" if len(values) == 1 else ""


def _finish(axes: "Axes", names: Sequence[str]) -> None:
    axes.set_xlabel("step")
    axes.set_ylabel(names[0].replace("_", " "))
    axes.grid(alpha=0.25)
    if axes.has_data():
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0)) if len(names) > 1 else None
    else:
        axes.text(0.5, 0.5, "nothing was logged", transform=axes.transAxes, ha="center", va="center")


def curve(run: Measured, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The steps (n,) at which a figure was logged, and its values (n,); steps at which it was null are left out.

    Raises:
        CardError: the history is no list of mappings of numbers.
    """
    history = run.at("history")
    if not isinstance(history, list):
        raise CardError(f"{run.name}: history is {'not there' if history is ABSENT else 'no list'}; write the file anew")
    points = list(_points(run, history, name))
    return np.array([step for step, _ in points], dtype=np.float64), np.array(
        [value for _, value in points], dtype=np.float64
    )


def _points(run: Measured, history: Sequence[object], name: str) -> Iterator[tuple[float, float]]:
    for index, own in enumerate(history):
        step, value = (own.get("step"), own.get(name)) if isinstance(own, dict) else (None, None)
        if isinstance(step, int) and isinstance(value, int | float):
            yield float(step), float(value)
        elif not isinstance(step, int) or value is not None:
            raise CardError(f"{run.name}: history[{index}] has no number under step or {name}; write the file anew")


def running_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean (n,) of each value and those before it, over a twentieth of all (n,), at least one; fewer at the beginning.

    >>> running_mean(np.array([1.0, 3.0])).tolist()
    [1.0, 3.0]
    """
    width = max(1, len(values) // SMOOTHED)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(0, ends - width)
    means: NDArray[np.float64] = (sums[ends] - sums[begins]) / (ends - begins)
    return means
