"""A plan asks only for the options of a model and its answers, and is the same whoever makes it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pytest
from openai_server import running_openai
from tiny_families import tiny_family

from r_avst.training.asking import Backend
from r_avst.training.model_backend import ModelBackend
from r_avst.training.plans import ALONE
from r_avst.training.plans import Pace
from r_avst.training.plans import RayWorkers
from r_avst.training.plans import make_plan
from r_avst.training.plans import open_backend
from r_avst.training.plans import open_streaming_backend
from r_avst.training.predict_options import PredictOptionError
from r_avst.training.predict_options import add_answer_options
from r_avst.training.predict_options import add_backend_options
from r_avst.training.predict_options import add_media_options
from r_avst.training.predict_options import add_model_options
from r_avst.training.predict_options import add_server_options
from r_avst.training.predict_options import make_parser
from r_avst.training.server_backend import ServerBackend


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_family(tmp_path_factory.mktemp("plans"), "qwen2.5-vl")


def shared_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Those that the groups add which other programs use, and the model: nothing of a run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    adders = (add_backend_options, add_answer_options, add_media_options, add_model_options, add_server_options)
    for add in adders:
        add(parser.add_argument_group())
    return parser.parse_args(arguments)


def test_a_plan_needs_no_option_of_a_run(tiny: Path) -> None:
    own = make_plan(shared_options(["--model", str(tiny)]))
    run = ["--model", str(tiny), "--videos", "videos", "--out", "out.jsonl", "--batch-size", "4"]
    predicted = make_plan(make_parser().parse_args(run), Pace(batch_size=4))
    assert own.settings == predicted.settings
    assert not {"dataset", "split", "questions"} & set(own.settings)
    assert (own.pace, own.family.name) == (Pace(1, 0, 1, None, None, None), "qwen2.5-vl")


def test_a_plan_opens_the_model_or_the_server(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    here = make_plan(shared_options(["--model", str(tiny)]))
    assert isinstance(open_streaming_backend(here, ALONE), ModelBackend)
    with running_openai() as server:
        served = ["--model", "m", "--backend", "openai", "--base-url", server.base_url, "--family", "qwen2.5-vl"]
        backend: Backend = open_backend(make_plan(shared_options(served)), ALONE)
    assert isinstance(backend, ServerBackend)


def test_workers_are_for_models_and_settle_the_type_of_numbers(tiny: Path) -> None:
    served = shared_options(["--model", "m", "--backend", "openai"])
    with pytest.raises(PredictOptionError, match="--engine ray is for"):
        make_plan(served, Pace(ray=RayWorkers(None, 1, 1.0)))
    types = [
        make_plan(shared_options(["--model", str(tiny)]), Pace(ray=RayWorkers(None, 1, gpus))).settings["dtype"]
        for gpus in (0.0, 1.0)
    ]
    assert types == ["float32", "bfloat16"]
