"""Ratings survive kills and other writers, bad lines are named, and kappa is what other computations say."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from r_avst.dataset_builder.ratings import LEVELS
from r_avst.dataset_builder.ratings import Agreement
from r_avst.dataset_builder.ratings import RaterSummary
from r_avst.dataset_builder.ratings import Rating
from r_avst.dataset_builder.ratings import RatingError
from r_avst.dataset_builder.ratings import UndefinedKappaError
from r_avst.dataset_builder.ratings import agreements
from r_avst.dataset_builder.ratings import append_rating
from r_avst.dataset_builder.ratings import digest_shown
from r_avst.dataset_builder.ratings import read_all
from r_avst.dataset_builder.ratings import read_ratings
from r_avst.dataset_builder.ratings import summarise_raters
from r_avst.dataset_builder.ratings import weighted_kappa

SHOWN, OTHER = "0123456789abcdef", "f" * 16
GOOD = Rating("q1", SHOWN, "alice", 3, "", "2026-11-21T12:00:00+00:00")
FIELDS = {
    "question_id": "q1", "shown": SHOWN, "rater": "alice", "score": 3, "comment": "", "rated_at": "2026-11-21T12:00:00+00:00"
}  # fmt: skip
LINE = json.dumps(FIELDS)
APPEND_FOR_EVER = """
import sys
from pathlib import Path
from r_avst.dataset_builder.ratings import append_rating, rating_now
for number in range(1_000_000):
    append_rating(Path(sys.argv[1]), rating_now(f"q{number}", "0" * 16, "alice", 1 + number % 4, "x" * 3000))
    print(number, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ratings.jsonl"


def append_many(path: Path, rater: str, count: int) -> None:
    for number in range(count):
        append_rating(path, Rating(f"q{number}", SHOWN, rater, 1 + number % 4, "c" * 500, ""))


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_rating_is_one_line_and_comes_back(path: Path) -> None:
    comment = 'a "comment"\nof two lines \u2028 \ud800'
    own = Rating("v-0-temporal-0", OTHER, "Ælfric", 4, comment, "2026-11-21T12:00:00+00:00")
    append_rating(path, own)
    append_rating(path, GOOD)
    assert read_all(path) == [own, GOOD]
    assert path.read_bytes().count(b"\n") == 2
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[1]) == FIELDS


def test_the_last_score_of_a_rater_counts(path: Path) -> None:
    for question, rater, score in [("q1", "a", 1), ("q1", "b", 2), ("q2", "a", 3), ("q1", "a", 4)]:
        append_rating(path, Rating(question, SHOWN, rater, score, "", ""))
    assert read_ratings(path) == {("q1", SHOWN): {"a": 4, "b": 2}, ("q2", SHOWN): {"a": 3}}


def test_what_was_rated_under_an_id_before_is_told_apart(path: Path) -> None:
    for shown, rater, score in [(SHOWN, "a", 1), (OTHER, "a", 4), (OTHER, "b", 2)]:
        append_rating(path, Rating("q1", shown, rater, score, "", ""))
    assert read_ratings(path) == {("q1", SHOWN): {"a": 1}, ("q1", OTHER): {"a": 4, "b": 2}}


def test_the_digest_is_that_of_both_texts() -> None:
    # printf 'Où?\n<answer/>' | sha256sum
    assert digest_shown("Où?", "<answer/>") == "56e85817e5805a8a"
    assert len({digest_shown(*texts) for texts in [("a", "b"), ("a", "c"), ("c", "b"), ("ab", ""), ("", "ab")]}) == 5


@pytest.mark.parametrize(
    "torn", [LINE[:1], LINE[:-1], LINE[:40], "\x00" * 30, '{"question_id": "q\u00e9'.encode()[:-1].decode("latin-1")]
)
def test_a_torn_last_line_is_left_out_and_removed_by_the_next_rating(path: Path, torn: str) -> None:
    path.write_bytes(f"{LINE}\n{torn}".encode("latin-1"))
    assert read_all(path) == [GOOD]
    append_rating(path, Rating("q2", SHOWN, "alice", 1, "", ""))
    assert [own.question_id for own in read_all(path)] == ["q1", "q2"]
    assert path.read_bytes().startswith(f"{LINE}\n".encode() + b'{"question_id": "q2"')


def test_a_whole_last_line_without_its_end_is_kept(path: Path) -> None:
    path.write_text(LINE, encoding="utf-8")
    assert read_all(path) == [GOOD]
    append_rating(path, Rating("q2", SHOWN, "alice", 1, "", ""))
    assert [own.question_id for own in read_all(path)] == ["q1", "q2"]


def test_a_file_that_is_all_torn_or_empty_holds_nothing(path: Path) -> None:
    for content in ("", '{"question'):
        path.write_text(content, encoding="utf-8")
        assert read_ratings(path) == {}
    append_rating(path, GOOD)
    assert read_all(path) == [GOOD]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 7}, "the score is 7, not one of 1, 2, 3, 4"),
        ({"score": 0}, "the score is 0"),
        ({"score": True}, "the score is True"),
        ({"score": 3.0}, "the score is 3.0"),
        ({"score": "3"}, "the score is '3'"),
        ({"score": None}, "the score is None"),
        ({"question_id": 5}, "the question id is 5"),
        ({"question_id": ""}, "the question id is ''"),
        ({"shown": None}, "shown is None, not the 16 hex digits"),
        ({"shown": "0123"}, "shown is '0123'"),
        ({"shown": "0123456789ABCDEF"}, "shown is '0123456789ABCDEF'"),
        ({"shown": SHOWN + "\n"}, "shown is '0123456789abcdef.n'"),
        ({"rater": ["alice"]}, r"\['alice'\] is no name of a rater"),
        ({"rater": ""}, "'' is no name of a rater"),
        ({"rater": " alice"}, "' alice' is no name of a rater"),
        ({"rater": "\x1b[2J"}, "is no name of a rater"),
        ({"rater": "a" * 101}, "too long for the name of a rater"),
        ({"comment": None}, "the comment is not a text"),
        ({"comment": "x" * 10_001}, "the comment is not a text of at most 10,000"),
        ({"rated_at": 5}, "rated_at is 5"),
        ({"stars": 5}, "a rating is an object of comment, question_id, rated_at, rater, score, shown; found"),
    ],
)
def test_a_line_that_is_no_rating_is_named(path: Path, change: dict[str, Any], message: str) -> None:
    path.write_text(f"{LINE}\n{json.dumps(FIELDS | change)}\n{LINE}\n", encoding="utf-8")
    with pytest.raises(RatingError, match=f"^{re.escape(str(path))}, line 2: .*{message}"):
        read_ratings(path)


def test_a_line_of_a_file_that_tells_no_digests_is_named(path: Path) -> None:
    old = {name: value for name, value in FIELDS.items() if name != "shown"}
    path.write_text(f"{LINE}\n{json.dumps(old)}\n", encoding="utf-8")
    with pytest.raises(RatingError, match=r"line 2: a rating is an object of .*, score, shown; found \{'question_id'"):
        read_ratings(path)


@pytest.mark.parametrize("line", ["nonsense", "[" * 100_000, '{"score": ' + "9" * 5000 + "}", "3", "null", "{}", "\x00"])
def test_a_line_that_is_no_object_is_named(path: Path, line: str) -> None:
    path.write_text(f"{LINE}\n{line}\n", encoding="utf-8")
    with pytest.raises(RatingError, match="line 2: "):
        read_ratings(path)


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(RatingError, match=r"absent\.jsonl: the ratings cannot be read \(No such file"):
        read_ratings(tmp_path / "absent.jsonl")
    (tmp_path / "file").touch()
    with pytest.raises(RatingError, match="the rating cannot be stored"):
        append_rating(tmp_path / "file" / "ratings.jsonl", GOOD)


def test_a_full_disk_is_named_and_costs_no_earlier_rating(path: Path) -> None:
    append_rating(path, GOOD)
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from r_avst.dataset_builder.ratings import append_rating, rating_now\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
        "append_rating(Path(sys.argv[1]), rating_now('q2', '0' * 16, 'bob', 1, 'x' * 500))"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert f"RatingError: {path}: the rating cannot be stored (File too large)" in ran.stderr
    assert path.stat().st_size == 200
    assert read_all(path) == [GOOD]
    append_rating(path, GOOD)
    assert read_all(path) == [GOOD, GOOD]


def test_several_processes_may_append_to_one_file(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append_many, args=(path, f"rater {number}", 50)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(read_all(path)) == 200
    assert read_ratings(path) == {(f"q{n}", SHOWN): {f"rater {r}": 1 + n % 4 for r in range(4)} for n in range(50)}


def test_a_killed_writer_loses_nothing_that_it_had_stored(path: Path) -> None:
    for seconds in (0.02, 0.05, 0.11):
        path.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", APPEND_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout
            writer.stdout.readline()
            time.sleep(seconds)
            os.kill(writer.pid, signal.SIGKILL)
            said = writer.stdout.read().split()
        stored = read_all(path)
        assert len(stored) >= (int(said[-1]) + 1 if said else 1)
        append_rating(path, GOOD)
        assert read_all(path) == [*stored, GOOD]


# --- kappa ------------------------------------------------------------------------------------------------------------


def loop_kappa(first: Sequence[int], second: Sequence[int], levels: Sequence[int]) -> float:
    """The same figure pair by pair: the mean squared distance in rank of the pairs that are, over that of all pairs."""
    count = len(first)
    distances = [(levels.index(a) - levels.index(b)) ** 2 for a, b in zip(first, second, strict=True)]
    by_chance = [(levels.index(a) - levels.index(b)) ** 2 for a in first for b in second]
    return 1 - (sum(distances) / count) / (sum(by_chance) / count**2)


@pytest.mark.parametrize(
    ("first", "second", "kappa"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 1.0),
        ([1, 4], [4, 1], -1.0),
        ([1, 1, 4, 4], [1, 4, 1, 4], 0.0),  # as chance would have it
        ([1, 1, 1, 1], [1, 2, 3, 4], 0.0),  # a constant agrees as well as chance
        ([2, 2], [3, 3], 0.0),
        # squared distances 0, 0, 0, 0, 1: mean 1/5; by chance: variances 1.36 + 1.04 and means 0.2 apart: 2.44
        ([1, 2, 3, 4, 4], [1, 2, 3, 4, 3], 1 - 0.2 / 2.44),
        # squared distances 1, 1, 9, 0: mean 2.75; by chance: variances 0.6875 + 1.5 and means 0.25 apart: 2.25
        ([2, 3, 1, 1], [1, 2, 4, 1], 1 - 2.75 / (0.6875 + 1.5 + 0.0625)),
    ],
)
def test_kappa_of_cases_worked_by_hand(first: list[int], second: list[int], kappa: float) -> None:
    assert weighted_kappa(first, second) == pytest.approx(kappa, abs=1e-12)
    assert weighted_kappa(second, first) == pytest.approx(kappa, abs=1e-12)


def drawn_pairs() -> list[tuple[list[int], list[int]]]:
    rng = np.random.default_rng(0)
    pairs = []
    for count in [2, 3, 5, 10, 50, 400] * 20:
        first = rng.integers(1, 5, count)
        second = np.clip(first + rng.integers(-1, 2, count), 1, 4) if rng.random() < 0.5 else rng.integers(1, 5, count)
        pairs.append((first.tolist(), second.tolist()))
    return [pair for pair in pairs if len({*pair[0], *pair[1]}) > 1]


def test_kappa_is_that_of_a_plain_loop() -> None:
    pairs = drawn_pairs()
    assert len(pairs) > 100
    for first, second in pairs:
        assert weighted_kappa(first, second) == pytest.approx(loop_kappa(first, second, LEVELS), abs=1e-12)


def test_kappa_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    for first, second in drawn_pairs():
        other = metrics.cohen_kappa_score(first, second, labels=list(LEVELS), weights="quadratic")
        assert weighted_kappa(first, second) == pytest.approx(other, abs=1e-12)


def test_levels_count_by_rank_and_those_that_nobody_gave_change_nothing() -> None:
    assert weighted_kappa([1, 10, 100, 10], [1, 10, 10, 100], (1, 10, 100)) == weighted_kappa([1, 2, 3, 2], [1, 2, 2, 3])
    assert weighted_kappa([2, 3, 2], [2, 3, 3], (2, 3)) == pytest.approx(weighted_kappa([2, 3, 2], [2, 3, 3]))


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [([], [], "they rated no question in common"), ([3, 3], [3, 3], "both gave 3 to every question")],
)
def test_an_undefined_kappa_says_why(first: list[int], second: list[int], reason: str) -> None:
    with pytest.raises(UndefinedKappaError, match=f"^{reason}$"):
        weighted_kappa(first, second)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [([1, 2], [1], "as many scores each; here are 2 and 1"), ([1, 5], [1, 2], r"the scores \[5\] are none of the levels")],
)
def test_scores_that_do_not_fit_are_refused(first: list[int], second: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weighted_kappa(first, second)


# --- summaries --------------------------------------------------------------------------------------------------------

SCORES = {
    ("q1", SHOWN): {"alice": 4, "bob": 4},
    ("q1", OTHER): {"alice": 3, "bob": 2},
    ("q3", SHOWN): {"alice": 1, "bob": 1},
    ("q4", SHOWN): {"alice": 4},
    ("q5", SHOWN): {"model": 2},
}


def test_raters_are_summarised_each_by_what_they_rated() -> None:
    assert summarise_raters(SCORES) == [
        RaterSummary("alice", 4, 3.0, (1, 0, 1, 2)),
        RaterSummary("bob", 3, 7 / 3, (1, 1, 0, 1)),
        RaterSummary("model", 1, 2.0, (0, 1, 0, 0)),
    ]


def test_pairs_agree_on_what_both_rated() -> None:
    first, *others = agreements(SCORES)
    assert first.kappa == pytest.approx(loop_kappa([4, 3, 1], [4, 2, 1], LEVELS))
    assert first == Agreement(("alice", "bob"), 3, first.kappa, None)
    assert others == [
        Agreement(("alice", "model"), 0, None, "they rated no question in common"),
        Agreement(("bob", "model"), 0, None, "they rated no question in common"),
    ]


def test_without_ratings_there_is_nothing_to_summarise() -> None:
    assert (summarise_raters({}), agreements({})) == ([], [])
