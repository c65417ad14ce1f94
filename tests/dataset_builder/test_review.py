"""The command line of the review: its report, and what it refuses."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from review_data import write_review_data

from r_avst.dataset_builder.ratings import Rating
from r_avst.dataset_builder.ratings import append_rating
from r_avst.dataset_builder.review import main

WITHOUT_GRADIO = """
import sys
sys.modules["gradio"] = None
from r_avst.dataset_builder.review import main
sys.exit(main(sys.argv[1:]))
"""
IMPORTED_BY_THE_REPORT = """
import sys
from r_avst.dataset_builder.review import main
main(["--report", "--ratings", sys.argv[1]])
print([name for name in ("gradio", "openai", "PIL", "av") if name in sys.modules])
"""

SHOWN, OTHER = "0" * 16, "f" * 16


@pytest.fixture
def ratings(tmp_path: Path) -> Path:
    """Alice and Bob rated three questions both, with squared distances 0, 1, 0; a model rated one that nobody else did."""
    path = tmp_path / "ratings.jsonl"
    given = {"alice": {"q1": 4, "q2": 3, "q3": 1, "q4": 4}, "bob": {"q1": 4, "q2": 2, "q3": 1}, "org/model": {"q5": 2}}
    for rater, scores in given.items():
        for question_id, score in scores.items():
            append_rating(path, Rating(question_id, SHOWN, rater, score, "", ""))
    return path


def test_the_report_shows_every_rater_and_every_pair(ratings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--report", "--ratings", str(ratings)]) == 0
    # kappa: mean squared distance 1/3; by chance, from means 8/3 and 7/3 and variances 14/9 and 14/9: 29/9
    kappa = f"{1 - (1 / 3) / (29 / 9):.3f}"
    assert capsys.readouterr().out == (
        f"{ratings}: 5 questions rated by 3 raters\n"
        "\n"
        "rater        rated    mean    excellent    good    fair    poor\n"
        "---------  -------  ------  -----------  ------  ------  ------\n"
        "alice            4    3.00            2       1       0       1\n"
        "bob              3    2.33            1       0       1       1\n"
        "org/model        1    2.00            0       0       1       0\n"
        "\n"
        "Quadratic weighted kappa on the questions that both rated (the paper's two raters: 0.71)\n"
        "raters             questions    kappa\n"
        "-----------------  -----------  -------  --------------------------------\n"
        f"alice - bob        3            {kappa}\n"
        "alice - org/model  0            null     they rated no question in common\n"
        "bob - org/model    0            null     they rated no question in common\n"
    )


def test_the_report_of_one_rater_has_no_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append_rating(tmp_path / "r.jsonl", Rating("q", SHOWN, "0123", 4, "", ""))
    assert main(["--report", "--ratings", str(tmp_path / "r.jsonl")]) == 0
    printed = capsys.readouterr().out
    assert printed.endswith("there is one rater\n")
    assert "\n0123 " in printed


def test_the_report_tells_apart_what_was_rated_under_one_id(ratings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    append_rating(ratings, Rating("q1", OTHER, "org/model", 1, "", ""))  # not the question that alice and bob rated
    assert main(["--report", "--ratings", str(ratings)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{ratings}: 6 questions rated by 3 raters\n")
    assert "alice - org/model  0            null     they rated no question in common" in printed


@pytest.mark.parametrize("content", ["", '{"question'])
def test_the_report_of_no_ratings_says_so(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(content, encoding="utf-8")
    assert main(["--report", "--ratings", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: no ratings yet\n"


def test_the_report_loads_nothing_heavy(ratings: Path) -> None:
    command = [sys.executable, "-c", IMPORTED_BY_THE_REPORT, str(ratings)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "say who rates: --rater NAME"),
        (["--rater", "a", "--report"], "not allowed with argument"),
        (["--rater", "a", "--sample", "0"], "give a whole number of 1 or more"),
        (["--rater", "a", "--seed", "-1"], "no whole number of 0 or more"),
        (["--rater", "a", "--port", "x"], "no whole number"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--report", "--ratings", "absent.jsonl"], "absent.jsonl: the ratings cannot be read"),
        (["--rater", "a", "--dataset", "absent"], "the split 'test' of 'absent' cannot be loaded"),
        (["--rater", "\x07"], r"'\x07' is no name of a rater"),
        (["--rater", "a", "--videos", "absent"], "absent: there is no such folder; --videos takes"),
        (["--rater", "a", "--ratings", "broken.jsonl"], "broken.jsonl, line 1: this is no JSON"),
    ],
)
def test_what_is_not_there_is_named(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_review_data(tmp_path)
    (tmp_path / "broken.jsonl").write_text("broken\n")
    monkeypatch.chdir(tmp_path)
    assert main(options) == 2
    assert f"r-avst-review: {message}" in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_review_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["--rater", "a", "--port", str(port)]) == 2
    assert f"the page cannot be served at 127.0.0.1:{port} " in capsys.readouterr().err


def test_without_gradio_it_says_what_to_install(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_GRADIO, "--rater", "a"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "pip install 'r-avst[review]'" in ran.stderr
