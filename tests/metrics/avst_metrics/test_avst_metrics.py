"""The `evaluate` module: loaded as users load it, every option of `compute`, hostile texts, and its Hub card."""

import ast
import inspect
import json
import math
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluate
import numpy as np
import pytest
from gensim.models import KeyedVectors
from huggingface_hub import SpaceCard

from r_avst.metrics.avst_metrics import avst_metrics as package_module
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.avst_metrics.coordinates import SPACES
from r_avst.metrics.avst_metrics.coordinates import SPACES_HELP
from r_avst.metrics.avst_metrics.word_vectors import DEFAULT

FOLDER = Path(package_module.__file__).parent
SPAN_SCORES = ["m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7"]
NAME_SCORES = ["object_accuracy", "object_f1"]
BOX_SCORES = ["m_vIoU", "AP@0.3", "AP@0.5", "vIoU_tube", "vIoU_any"]
FIGURE = ["value", "low", "high", "count", "undefined", "floor", "skill"]


def temporal(start: float, end: float, name: str = "dog") -> str:
    return f"<answer><object>{name}</object><when>[{start}, {end}]</when></answer>"


def spatial(*boxes: tuple[float, float, float, float], name: str = "dog") -> str:
    rows = "\n".join(f"{time}.0: {list(box)}" for time, box in enumerate(boxes))
    return f"<answer><object>{name}</object><where>{rows}</where></answer>"


BOX = (64.0, 36.0, 128.0, 72.0)
TEMPORAL = temporal(0.0, 4.0)
SPATIAL = spatial(BOX, BOX)
BOTH = f"<answer><object>dog</object><when>[0.0, 4.0]</when><where>0.0: {list(BOX)}</where></answer>"


@pytest.fixture(scope="module")
def metric() -> evaluate.EvaluationModule:
    return evaluate.load(str(FOLDER))


@pytest.fixture
def compute(metric: evaluate.EvaluationModule) -> Callable[..., dict[str, Any]]:
    """`compute` without word vectors, intervals or a coordinate space other than the source's, unless asked for."""

    def with_defaults(predictions: list[Any], references: list[str], **options: Any) -> dict[str, Any]:
        defaults = {"coordinate_space": "source", "word_vectors": "exact", "bootstrap_samples": 0}
        result: dict[str, Any] = metric.compute(predictions=predictions, references=references, **(defaults | options))
        return result

    return with_defaults


def values(figures: dict[str, dict[str, Any]]) -> dict[str, float | None]:
    return {name: own["value"] for name, own in figures.items()}


# --- as users load it -------------------------------------------------------------------------------------------------

LITERAL = """\
import json, evaluate
truths = ["<answer><object>dog</object><when>[0.0, 4.0]</when></answer>"]
texts = ["<answer><object>a dog</object><when>[1.0, 4.0]</when></answer>"]
scores = evaluate.load("avst_metrics").compute(
    predictions=texts, references=truths, coordinate_space="source", word_vectors="exact"
)
print(json.dumps(scores))
"""


def copy_of_the_folder(to: Path) -> Path:
    """What is published, and nothing else: neither caches nor the package around it."""
    to.mkdir()
    for pattern in ("*.py", "README.md", "requirements.txt"):
        for path in FOLDER.glob(pattern):
            shutil.copy(path, to)
    return to


def test_a_copied_folder_loads_by_its_name_and_scores(tmp_path: Path) -> None:
    copy_of_the_folder(tmp_path / "avst_metrics")
    ran = subprocess.run([sys.executable, "-c", LITERAL], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    scores = json.loads(ran.stdout)
    assert list(scores) == ["overall", "temporal", "settings"]
    assert values(scores["temporal"]) == {
        "format_rate": 1, "m_tIoU": 0.75, "R1@0.3": 1, "R1@0.5": 1, "R1@0.7": 1, "object_accuracy": 1, "object_f1": 1
    }  # fmt: skip
    assert scores["overall"] == scores["temporal"]
    assert "Warning" not in ran.stderr


def test_the_module_in_the_package_gives_the_same_figures(compute: Callable[..., dict[str, Any]]) -> None:
    texts, truths = [temporal(1, 4), spatial(BOX), ""], [TEMPORAL, SPATIAL, BOTH]
    options = {"durations": [8.0, 8.0, 10.0], "groups": ["a", "b", "b"], "bootstrap_samples": 20, "per_question": True}
    direct = package_module.AvstMetrics().compute(
        predictions=texts, references=truths, coordinate_space="source", word_vectors="exact", **options
    )
    assert direct == compute(texts, truths, **options)


def test_texts_may_be_added_in_batches(metric: evaluate.EvaluationModule) -> None:
    metric.add_batch(predictions=[temporal(1, 4)], references=[TEMPORAL])
    metric.add(prediction=temporal(0, 2), reference=TEMPORAL)
    result = metric.compute(coordinate_space="source", word_vectors="exact", bootstrap_samples=0)
    assert result["temporal"]["m_tIoU"]["value"] == (0.75 + 0.5) / 2


def test_the_module_describes_itself(metric: evaluate.EvaluationModule) -> None:
    assert metric.name == "avst_metrics"
    assert set(metric.features) == {"predictions", "references"}
    assert "2511.16901" in metric.citation
    assert all(name in metric.inputs_description for name in options_of_compute())


# --- figures ----------------------------------------------------------------------------------------------------------


def test_each_task_has_its_scores_and_overall_has_all(compute: Callable[..., dict[str, Any]]) -> None:
    result = compute([TEMPORAL, SPATIAL, BOTH, ""], [TEMPORAL, SPATIAL, BOTH, BOTH])
    every = ["format_rate", *SPAN_SCORES, *NAME_SCORES, *BOX_SCORES]
    assert list(result) == ["overall", "temporal", "spatial", "spatio_temporal", "settings"]
    assert list(result["overall"]) == list(result["spatio_temporal"]) == every
    assert list(result["temporal"]) == ["format_rate", *SPAN_SCORES, *NAME_SCORES]
    assert list(result["spatial"]) == ["format_rate", *NAME_SCORES, *BOX_SCORES]
    assert all(list(own) == FIGURE for task in ("overall", *TASKS) for own in result[task].values())
    assert set(values(result["temporal"]).values()) == set(values(result["spatial"]).values()) == {1.0}
    assert set(values(result["spatio_temporal"]).values()) == {0.5}
    counts = {name: own["count"] for name, own in result["overall"].items()}
    assert counts == dict.fromkeys(every, 4) | dict.fromkeys(SPAN_SCORES + BOX_SCORES, 3)
    assert values(result["overall"])["m_tIoU"] == values(result["overall"])["m_vIoU"] == 2 / 3


def test_a_question_without_a_visible_box_is_counted_as_undefined(compute: Callable[..., dict[str, Any]]) -> None:
    invisible = spatial((0.0, 0.0, 0.0, 0.0))
    result = compute([SPATIAL, invisible], [SPATIAL, invisible])["spatial"]
    assert {(own["value"], own["count"], own["undefined"]) for name, own in result.items() if name in BOX_SCORES} == {
        (1.0, 1, 1)
    }
    assert {(own["count"], own["undefined"]) for name, own in result.items() if name not in BOX_SCORES} == {(2, 0)}


def test_hand_worked_box_figures(compute: Callable[..., dict[str, Any]]) -> None:
    half = (BOX[0], BOX[1], (BOX[0] + BOX[2]) / 2, BOX[3])
    found = values(compute([spatial(half, BOX, BOX, BOX, name="the dogs")], [spatial(BOX, BOX, BOX)])["spatial"])
    assert found == {
        "format_rate": 1.0,
        "object_accuracy": 1.0,
        "object_f1": 1.0,
        "m_vIoU": 2.5 / 3,
        "AP@0.3": 1.0,
        "AP@0.5": 1.0,
        "vIoU_tube": 2.5 / 4,  # the fourth time is extra
        "vIoU_any": 2.5 / 3,
    }


def test_nothing_to_score_gives_the_settings_alone(compute: Callable[..., dict[str, Any]]) -> None:
    assert list(compute([], [])) == ["settings"]


# --- options ----------------------------------------------------------------------------------------------------------


def options_of_compute() -> list[str]:
    return [name for name in inspect.signature(package_module.AvstMetrics._compute).parameters if name != "self"]


@pytest.mark.parametrize("tasks", [None, ["temporal", "spatial", "spatio_temporal"], [0, 1, 2], [0, "spatial", 2]])
def test_tasks_are_names_or_class_numbers_or_read_off_the_reference(
    compute: Callable[..., dict[str, Any]], tasks: list[str | int] | None
) -> None:
    texts = [TEMPORAL, SPATIAL, BOTH]
    result = compute(texts, texts, tasks=tasks, per_question=True)
    assert [row["task"] for row in result["per_question"]] == list(TASKS)
    assert set(values(result["overall"]).values()) == {1.0}


def test_a_given_task_decides_which_scores_a_question_has(compute: Callable[..., dict[str, Any]]) -> None:
    as_temporal = compute([TEMPORAL], [TEMPORAL], tasks=["temporal"])
    assert set(as_temporal["temporal"]) == {"format_rate", *SPAN_SCORES, *NAME_SCORES}
    assert set(values(as_temporal["temporal"]).values()) == {1.0}
    with pytest.raises(ValueError, match="no well-formed answer to a temporal question"):
        compute([TEMPORAL], [BOTH], tasks=["temporal"])
    inferred = compute([TEMPORAL], [BOTH])
    assert values(inferred["spatio_temporal"])["format_rate"] == 0.0
    assert values(inferred["spatio_temporal"])["m_vIoU"] == 0.0


GROUPED_TEXTS = [temporal(0, 4), temporal(1, 4), temporal(0, 2)]


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (["b", "a", "b"], {"a": (0.75, 1), "b": (0.75, 2)}),
        ([["a", "b"], ["b"], []], {"a": (1.0, 1), "b": (0.875, 2)}),
        ([("a",), {"a"}, frozenset({"c"})], {"a": (0.875, 2), "c": (0.5, 1)}),
        ([1, 1, None], {"1": (0.875, 2), "None": (0.5, 1)}),
        (["a", ["a", "b"], "b"], {"a": (0.875, 2), "b": (0.625, 2)}),
        ([["a", "a"], "a", "a"], {"a": (0.75, 3)}),
    ],
)
def test_a_row_counts_in_each_of_its_groups(
    compute: Callable[..., dict[str, Any]], groups: list[Any], expected: dict[str, tuple[float, int]]
) -> None:
    result = compute(GROUPED_TEXTS, [TEMPORAL] * 3, groups=groups)
    found = {
        name: (own["temporal"]["m_tIoU"]["value"], own["temporal"]["m_tIoU"]["count"])
        for name, own in result["groups"].items()
    }
    assert found == expected
    assert list(result["groups"]) == sorted(expected)
    assert result["temporal"]["m_tIoU"]["count"] == 3


@pytest.mark.parametrize(
    ("space", "box", "sizes"),
    [
        ("source", BOX, {}),
        ("source", BOX, {"frame_sizes": [(640, 360)]}),
        ("source", BOX, {"frame_sizes": [None]}),
        ("model", (32, 18, 64, 36), {"frame_sizes": [(640, 360)], "processed_sizes": [(320, 180)]}),
        ("model", (32, 72, 64, 144), {"frame_sizes": [[640, 360]], "processed_sizes": [[320, 720]]}),
        ("norm1000", (100, 100, 200, 200), {"frame_sizes": [(640, 360)]}),
        ("unit", (0.1, 0.1, 0.2, 0.2), {"frame_sizes": [(640, 360)]}),
    ],
)
def test_boxes_are_scored_in_source_pixels_whatever_their_space(
    compute: Callable[..., dict[str, Any]], space: str, box: tuple[float, float, float, float], sizes: dict[str, Any]
) -> None:
    result = compute([spatial(box, box)], [SPATIAL], coordinate_space=space, **sizes)
    assert {name: own["value"] for name, own in result["spatial"].items()} == pytest.approx(
        dict.fromkeys(["format_rate", *NAME_SCORES, *BOX_SCORES], 1.0), rel=1e-9
    )
    assert result["settings"]["coordinate_space"] == space


def test_each_row_is_scaled_by_its_own_sizes(compute: Callable[..., dict[str, Any]]) -> None:
    texts = [spatial((100, 100, 200, 200)), spatial((100, 100, 200, 200))]
    truths = [spatial(BOX), spatial((32.0, 18.0, 64.0, 36.0))]
    result = compute(texts, truths, coordinate_space="norm1000", frame_sizes=[(640, 360), (320, 180)])
    assert result["spatial"]["m_vIoU"]["value"] == pytest.approx(1.0, rel=1e-9)


def test_a_wrong_space_is_warned_about_and_a_right_one_is_not(compute: Callable[..., dict[str, Any]]) -> None:
    with pytest.warns(UserWarning, match="1 of 1 predicted boxes .* is coordinate_space 'source' right"):
        wrong = compute([spatial((0.1, 0.1, 0.2, 0.2))], [SPATIAL])
    assert wrong["spatial"]["m_vIoU"]["value"] == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compute([SPATIAL, TEMPORAL, ""], [SPATIAL, TEMPORAL, BOTH])


def test_durations_give_skill_against_the_best_constant(compute: Callable[..., dict[str, Any]]) -> None:
    truths, texts = [temporal(0, 4), temporal(6, 10)], [temporal(1, 4), temporal(6, 9)]
    # Of all spans none does better than to give one of the two questions its own: (1 + 0) / 2.
    scored = compute(texts, truths, durations=[10.0, 10.0])["temporal"]
    assert [scored["m_tIoU"][key] for key in ("value", "floor", "skill")] == pytest.approx([0.75, 0.5, 0.5])
    # [0, 1] overlaps both by 0.4, which reaches 0.3 in both and 0.5 in neither.
    assert [scored["R1@0.3"][key] for key in ("value", "floor", "skill")] == [1.0, 1.0, None]
    assert [scored["R1@0.5"][key] for key in ("value", "floor", "skill")] == [1.0, 0.5, 1.0]
    assert scored["object_f1"]["floor"] is None


@pytest.mark.parametrize("durations", [None, [10.0, None]])
def test_without_durations_the_temporal_scores_have_no_skill(
    compute: Callable[..., dict[str, Any]], durations: list[float | None] | None
) -> None:
    scored = compute([temporal(0, 4)] * 2, [temporal(0, 4), temporal(6, 10)], durations=durations)["temporal"]
    assert {(own["floor"], own["skill"]) for own in scored.values()} == {(None, None)}


def test_boxes_have_skill_without_durations(compute: Callable[..., dict[str, Any]]) -> None:
    far = (300.0, 300.0, 364.0, 336.0)
    truths = [spatial(BOX, BOX), spatial(BOX, far)]
    scored = compute([SPATIAL, SPATIAL], truths)["spatial"]["m_vIoU"]
    assert scored == {"value": 0.75, "low": None, "high": None, "count": 2, "undefined": 0, "floor": 0.75, "skill": 0.0}


SPREAD_TEXTS = [temporal(0, end / 4) for end in range(1, 17)]


def intervals(result: dict[str, Any]) -> list[tuple[float, float]]:
    return [(own["low"], own["high"]) for own in result["temporal"].values()]


def test_no_bootstrap_samples_give_no_intervals(compute: Callable[..., dict[str, Any]]) -> None:
    assert set(intervals(compute(SPREAD_TEXTS, [TEMPORAL] * 16))) == {(None, None)}


def test_the_seed_changes_the_intervals_and_the_same_seed_repeats_them(compute: Callable[..., dict[str, Any]]) -> None:
    first, again, other = (compute(SPREAD_TEXTS, [TEMPORAL] * 16, bootstrap_samples=50, seed=seed) for seed in (0, 0, 1))
    assert intervals(first) == intervals(again) != intervals(other)
    assert values(first["temporal"]) == values(other["temporal"])
    tiou = first["temporal"]["m_tIoU"]
    assert tiou["value"] == np.mean([end / 16 for end in range(1, 17)])
    assert 0 < tiou["low"] < tiou["value"] < tiou["high"] < 1
    assert other["settings"]["seed"] == 1


def test_per_question_gives_each_score_and_the_kinds_of_problems(compute: Callable[..., dict[str, Any]]) -> None:
    jumble = "<answer>so <object></object></where><when>[4, 1]</when>"
    texts = [temporal(2, 4), "```json\n[1, 2]", temporal(4, 1), jumble]
    result = compute(texts, [TEMPORAL] * 4, per_question=True)
    none = dict.fromkeys(["viou", "ap_30", "ap_50", "viou_tube", "viou_any"])
    row = {"task": "temporal", "format": 1.0, "tiou": 0.5, "object_accuracy": 1.0, "object_f1": 1.0, **none, "problems": []}
    nothing = row | dict.fromkeys(["format", "tiou", "object_accuracy", "object_f1"], 0.0)
    assert result["per_question"] == [
        row,
        nothing | {"problems": ["answer_tag", "nothing_found"]},
        row | {"format": 0.0, "tiou": 0.0, "problems": ["bad_span"]},
        nothing | {"problems": ["answer_tag", "bad_span", "empty_name", "stray_text", "unopened_tag"]},
    ]
    assert "per_question" not in compute(texts, [TEMPORAL] * 4)


def test_a_file_of_word_vectors_matches_names_that_letters_cannot(
    compute: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    path = tmp_path / "tiny.npz"
    np.savez(path, words=np.array(["violin", "cello", "car"]), vectors=np.array([[3, 4], [4, 4], [4, -3]]))
    truths, texts = [temporal(0, 4, "violin")] * 2, [temporal(0, 4, "a Cello"), temporal(0, 4, "car")]
    assert compute(texts, truths)["temporal"]["object_f1"]["value"] == 0.0
    with_vectors = compute(texts, truths, word_vectors=str(path))
    assert with_vectors["temporal"]["object_f1"]["value"] == 0.5
    assert with_vectors["settings"]["word_vectors"] == str(path)


def test_by_default_the_cached_google_news_vectors_are_used(
    metric: evaluate.EvaluationModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("R_AVST_CACHE", str(tmp_path))
    (tmp_path / DEFAULT).mkdir()
    vectors = KeyedVectors(2, dtype=np.float32)
    vectors.add_vectors(["violin", "cello"], np.array([[3, 4], [4, 4]], dtype=np.float32))
    vectors.save(str(tmp_path / DEFAULT / "vectors.kv"))
    result = metric.compute(
        predictions=[temporal(0, 4, "cello")], references=[temporal(0, 4, "violin")], coordinate_space="source"
    )
    assert result["temporal"]["object_f1"]["value"] == 1.0
    assert result["settings"] == {
        "version": package_module.VERSION,
        "coordinate_space": "source",
        "word_vectors": DEFAULT,
        "bootstrap_samples": 1000,
        "seed": 0,
    }


def test_word_vectors_that_are_absent_raise(compute: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"there are no word vectors at .* Three ways out"):
        compute([TEMPORAL], [TEMPORAL], word_vectors=str(tmp_path / "absent.kv"))


def test_everything_asked_for_at_once_is_json(compute: Callable[..., dict[str, Any]]) -> None:
    result = compute(
        ["", SPATIAL, BOTH, TEMPORAL],
        [TEMPORAL, SPATIAL, BOTH, BOTH],
        tasks=[0, 1, 2, 2],
        groups=[["a"], ["a", "b"], [], ["b"]],
        frame_sizes=[(640, 360)] * 4,
        durations=[10.0, 20.0, 4.0, 5.0],
        bootstrap_samples=30,
        per_question=True,
    )
    assert json.loads(json.dumps(result, allow_nan=False)) == result


# --- what compute refuses ---------------------------------------------------------------------------------------------


def test_leaving_out_the_coordinate_space_raises(metric: evaluate.EvaluationModule) -> None:
    with pytest.raises(ValueError, match="coordinate_space is None") as caught:
        metric.compute(predictions=[TEMPORAL], references=[TEMPORAL], word_vectors="exact")
    assert SPACES_HELP in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coordinate_space": "pixels"}, r"predictions\[0\]: coordinate_space is 'pixels'"),
        ({"coordinate_space": "unit"}, r"predictions\[0\]: the space 'unit' needs frame_size"),
        ({"coordinate_space": "norm1000", "frame_sizes": [(9, 9), None]}, r"predictions\[1\]: .*needs frame_size"),
        ({"coordinate_space": "model", "frame_sizes": [(9, 9)] * 2}, r"predictions\[0\]: .*needs processed_size"),
        ({"processed_sizes": [None, (9, 9)]}, r"predictions\[1\]: processed_size .* 'model' only"),
        ({"coordinate_space": "unit", "frame_sizes": [(9, 9), (0, 9)]}, r"predictions\[1\]: frame_size is \(0, 9\)"),
        ({"tasks": ["temporal"]}, "tasks has 1 entries for 2 references"),
        ({"groups": ["a", "b", "c"]}, "groups has 3 entries for 2 references"),
        ({"frame_sizes": [(9, 9)]}, "frame_sizes has 1 entries for 2 references"),
        ({"processed_sizes": []}, "processed_sizes has 0 entries for 2 references"),
        ({"durations": [1.0]}, "durations has 1 entries for 2 references"),
        ({"tasks": ["temporal", "temporal reasoning"]}, r"tasks\[1\] is 'temporal reasoning'; it must be one of temporal"),
        ({"tasks": [0, 3]}, r"tasks\[1\] is 3"),
        ({"tasks": [-1, 0]}, r"tasks\[0\] is -1"),
        ({"tasks": [None, 0]}, r"tasks\[0\] is None"),
        (
            {"tasks": ["temporal", "spatio_temporal"]},
            r"references\[1\] is no well-formed answer to a spatio_temporal question",
        ),
        ({"durations": [4.0, 0.0]}, r"durations\[1\] is 0.0; it must be above 0"),
        ({"durations": [-4.0, 1.0]}, r"durations\[0\] is -4.0"),
        ({"durations": [math.nan, 1.0]}, r"durations\[0\] is nan"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_row(
    compute: Callable[..., dict[str, Any]], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compute([TEMPORAL, SPATIAL], [TEMPORAL, SPATIAL], **options)


@pytest.mark.parametrize("reference", ["", "a dog", "<answer></answer>", f"{TEMPORAL} <when>", temporal(4, 0)])
def test_a_malformed_reference_is_refused_with_its_row(compute: Callable[..., dict[str, Any]], reference: str) -> None:
    with pytest.raises(ValueError, match=r"references\[1\] is no well-formed answer .*swapped"):
        compute([TEMPORAL] * 3, [TEMPORAL, reference, TEMPORAL])


def test_predictions_and_references_of_different_lengths_are_refused(compute: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(ValueError, match=r"Mismatch in the number of predictions \(1\) and references \(2\)"):
        compute([TEMPORAL], [TEMPORAL, TEMPORAL])


@pytest.mark.parametrize("text", [None, 7, "\ud800", ["a"]])
def test_what_is_no_text_for_arrow_is_refused_by_evaluate(compute: Callable[..., dict[str, Any]], text: Any) -> None:
    with pytest.raises(ValueError, match=r"expected format|surrogates not allowed"):
        compute([text], [TEMPORAL])


# --- hostile predictions ----------------------------------------------------------------------------------------------

HOSTILE = {
    "empty": "",
    "blank": " \n\t\u2003",
    "nul": "\0",
    "many objects": "<object>" * 25_000,
    "many wheres": "<where>" * 25_000,
    "many angles": "<" * 200_000,
    "many digits": "<when>[" + "1" * 200_000,
    "a long whole number in JSON": '[{"t": ' + "1" * 5_000 + ', "box": [1, 2, 3, 4]}]',
    "a long whole number in a <where>": '<object>x</object><where>{"t": ' + "1" * 5_000 + "}</where>",
    "deep JSON": "[" * 100_000,
    "deep JSON objects": '{"a":' * 50_000,
    "not numbers": "<answer><object></object><when>[nan, inf]</when><where>nan: [1, nan, inf, 1e999]</where></answer>",
    "huge numbers": "<object>x</object><when>[1e308, 1e309]</when><where>0: [-1e308, -1e308, 1e308, 1e308]</where>",
    "unclosed thinking": "<think>" * 30_000,
    "other scripts": "\u202e\U0001f415\u0000犬" * 10_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_scores_zero_and_never_raises(compute: Callable[..., dict[str, Any]], text: str) -> None:
    scored = compute([text, BOTH], [BOTH, BOTH], per_question=True)
    hostile, gold = scored["per_question"]
    assert hostile["problems"] != []
    assert {value for name, value in hostile.items() if name not in ("task", "problems")} == {0.0}
    assert {value for name, value in gold.items() if name not in ("task", "problems")} == {1.0}
    assert values(scored["spatio_temporal"])["m_tIoU"] == 0.5


def test_every_released_answer_scores_one_against_itself(
    compute: Callable[..., dict[str, Any]], released_answers: list[tuple[str, Task]]
) -> None:
    texts, tasks = [text for text, _ in released_answers], [task for _, task in released_answers]
    result = compute(texts, texts, tasks=tasks)
    assert {result[task]["format_rate"]["count"] for task in ("temporal", "spatial")} == {666}
    assert {value for task in ("overall", *TASKS) for value in values(result[task]).values()} == {1.0}
    assert result == compute(texts, texts)


# --- the folder that is published -------------------------------------------------------------------------------------


def test_the_card_is_one_that_the_hub_reads() -> None:
    card = SpaceCard.load(FOLDER / "README.md")
    assert card.data.sdk == "gradio"
    assert card.data.title == "avst_metrics"
    assert card.data.license == "apache-2.0"
    assert {"evaluate", "metric"} <= set(card.data.tags)
    assert (FOLDER / card.data.app_file).is_file()


def test_every_file_that_the_card_names_is_there() -> None:
    named = set(re.findall(r"[\w/]+\.(?:py|txt|md|json)\b", (FOLDER / "README.md").read_text(encoding="utf-8")))
    assert "app.py" in named
    assert [name for name in named if not (FOLDER / name).is_file()] == []


def test_the_card_tells_every_option_and_every_score() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in options_of_compute() if f"`{name}`" not in card] == []
    assert [space for space in SPACES if f"`{space}`" not in card] == []
    assert [score for score in ["m_tIoU", *NAME_SCORES, *BOX_SCORES, "format_rate"] if score.split("@")[0] not in card] == []


def imports_of(path: Path) -> tuple[set[str], set[str]]:
    """The top-level packages a file imports, and the siblings it imports."""
    packages: set[str] = set()
    siblings: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            (siblings if node.level else packages).add((node.module or "").split(".")[0])
    return packages, siblings


def test_the_requirements_are_what_the_folder_imports() -> None:
    packages = set().union(*(imports_of(path)[0] for path in FOLDER.glob("*.py"))) - set(sys.stdlib_module_names)
    lines = (FOLDER / "requirements.txt").read_text(encoding="utf-8").split()
    required = {re.split(r"[<>=!~\[]", line)[0] for line in lines}
    assert required == packages - {"gradio"}  # the Space's sdk brings gradio
    assert "gradio" in packages


def test_the_main_file_imports_every_sibling_because_evaluate_copies_those_alone() -> None:
    siblings = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "app", "avst_metrics"}
    assert imports_of(FOLDER / "avst_metrics.py")[1] == siblings
