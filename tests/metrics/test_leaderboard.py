"""The command `r-avst-leaderboard`: the order of rows, the marks, the page as GitHub reads it, and what it refuses."""

import doctest
import html
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from score_runs import many_questions
from score_runs import perturbed_gold
from score_runs import plain_values
from score_runs import scored

from r_avst.dataset_builder.build_from_release import build_release
from r_avst.metrics import leaderboard
from r_avst.metrics.avst_metrics.answers import TASKS
from r_avst.metrics.avst_metrics.answers import Task
from r_avst.metrics.floors import FLOORS
from r_avst.metrics.leaderboard import RANKED_BY
from r_avst.metrics.leaderboard import main
from r_avst.metrics.paper_tables import MODELS
from r_avst.metrics.paper_tables import SCORES
from r_avst.metrics.paper_tables import paper_rows
from r_avst.metrics.tables import RELEASED
from r_avst.metrics.tables import TITLES

SHARES = {"near": (0.05, 11), "near too": (0.05, 12), "far": (0.2, 3), "lost": (0.45, 4)}  # how far off, and the seed
HOSTILE = [
    "a|b",
    "a\\|b\\",
    "`|`` c",
    "<img src=x onerror=alert(1)>",
    "<!-- x",
    "</table><script>alert(1)</script>",
    "line\nbreak\r\n| --- |",
    "[text](javascript:alert(1)) ![x](http://x.example/y.png) www.example.com a@b.example @user #1",
    "**bold** _it_ ~~x~~ $x$ :+1: &amp;",
    "\x1b[31mred\u202edlrow\ud800",
    " spaces ",
    "AVST-Zero 7B",
]

HTML_TAGS = {"h1", "h2", "p", "code", "table", "thead", "tbody", "tr", "th", "td", "br", "sub", "ul", "li"}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Score files of predictors of a known order on 40 questions of each task; the floors stand in two of the files."""
    own = tmp_path_factory.mktemp("leaderboard")
    dataset = many_questions(own)
    for name, (share, seed) in SHARES.items():
        predictions = perturbed_gold(dataset, own / f"{name}.jsonl", share, seed)
        scored(dataset, own / f"{name}.json", [predictions], *(["--with-floors"] if name in ("near", "far") else []))
    return own


@pytest.fixture
def results(folder: Path) -> list[Path]:
    return [folder / f"{name}.json" for name in ("lost", "near too", "far", "near")]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command; gives exit code, stdout and stderr."""

    def command(*options: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(option) for option in options])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


@pytest.fixture
def as_many_as_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paper's rows stand beside the 40 questions a task of these tests."""
    for task in TASKS:
        monkeypatch.setitem(RELEASED, task, 40)


def cells(page: str, task: Task) -> list[list[str]]:
    """The rows of a task's table on a page whose names hold no bar, header and rule left out."""
    lines = page[page.index(f"## {TITLES[task]}, by ") :].split("\n")[4:]
    end = lines.index("")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:end]]


def changed(path: Path, out: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    out.write_text(json.dumps(content), encoding="utf-8")
    return out


def renamed(path: Path, out: Path, names: dict[str, str]) -> Path:
    """The file with its models under other names."""

    def rename(content: dict[str, Any]) -> None:
        content["models"] = {names.get(name, name): own for name, own in content["models"].items()}
        scores = content["questions"]["scores"]
        content["questions"]["scores"] = {names.get(name, name): own for name, own in scores.items()}

    return changed(path, out, rename)


# --- order ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("as_many_as_released")
@pytest.mark.parametrize("task", TASKS)
def test_rows_of_all_files_stand_by_their_first_score_with_the_paper_s_among_them(
    run: Run, results: list[Path], task: Task
) -> None:
    code, page, _ = run(*results)
    rows = cells(page, task)
    column = 2 + SCORES[task].index(RANKED_BY[task])
    ranked = [float(row[column].split("<")[0]) for row in rows]
    assert code == 0
    assert ranked == sorted(ranked, reverse=True)
    assert {row[0].strip("`") for row in rows if row[1] == "measured"} == set(SHARES)
    assert [row[0].strip("`") for row in rows if row[1] == "measured"][2:] == ["far", "lost"]
    assert rows[0][:2] == ["`gold`", "floor"]
    assert {row[0].strip("`") for row in rows if row[1] == "floor"} == set(FLOORS)
    assert sorted(row[0] for row in rows if row[1] == "paper") == sorted(MODELS)


def test_the_order_of_the_files_changes_nothing_but_which_is_named_first(run: Run, results: list[Path]) -> None:
    assert run(*results)[1] == run(*results[::-1])[1]


@pytest.mark.usefixtures("as_many_as_released")
def test_figures_are_those_of_the_files_and_of_the_paper(run: Run, results: list[Path], folder: Path) -> None:
    _, page, _ = run(*results)
    figures = json.loads((folder / "far.json").read_text(encoding="utf-8"))["models"]["far"]["figures"]
    for task in TASKS:
        rows = {row[0].strip("`"): row for row in cells(page, task)}
        own = [figures[task][name] for name in SCORES[task]]
        assert rows["far"][2 : 2 + len(own)] == [
            f"{100 * one['value']:.2f}<br><sub>{100 * one['low']:.1f}-{100 * one['high']:.1f}</sub>" for one in own
        ]
        stated = [f"{100 * value:.2f}" for value in paper_rows(task)["AVST-Zero 7B"].values()]
        assert rows["AVST-Zero 7B"][2 : 2 + len(own)] == stated
        floor, value = figures[task][RANKED_BY[task]]["floor"], paper_rows(task)["AVST-Zero 7B"][RANKED_BY[task]]
        assert rows["AVST-Zero 7B"][2 + len(own)] == f"{100 * (value - floor) / (1 - floor):.2f}"
        assert rows["AVST-Zero 7B"][-1] == ""


@pytest.mark.usefixtures("as_many_as_released")
def test_the_page_says_what_was_scored_how_and_what_ranks(run: Run, results: list[Path], folder: Path) -> None:
    _, page, _ = run(*results, "--seed", 7, "--resamples", 2000)
    assert page.startswith("# R-AVST leaderboard\n\n")
    assert f"`{folder / 'many'}`, split `test`: 120 questions. Names matched by their letters alone (exact). Metric" in page
    assert "below each mean its 95% interval (50 resamples, seed 0)" in page
    assert "## Temporal (paper, table 3), by m_tIoU: 40 questions\n" in page
    assert "## Spatial (paper, table 2), by m_vIoU: 40 questions\n" in page
    assert "paired bootstrap over the questions (2,000 resamples, seed 7), after Holm's correction" in page
    assert "- whole video: [0, duration]" in page
    assert "it counts 663, 664 and 306 questions" in page


def test_the_paper_s_rows_do_not_stand_beside_other_questions_than_the_released(run: Run, results: list[Path]) -> None:
    code, page, _ = run(*results)
    assert code == 0
    assert all(row[1] != "paper" for task in TASKS for row in cells(page, task))
    assert page.endswith("- The paper's rows are of the released test split and are left out here.\n")
    assert "arXiv" not in page


def test_the_page_says_that_questions_of_one_video_are_treated_as_independent(run: Run, results: list[Path]) -> None:
    assert "- Intervals and marks treat questions as independent, although some share a video" in run(*results)[1]


def test_missing_predictions_are_counted(run: Run, folder: Path, tmp_path: Path) -> None:
    lines = (folder / "far.jsonl").read_text(encoding="utf-8").splitlines()[:100]
    (tmp_path / "cut.jsonl").write_text("\n".join(lines), encoding="utf-8")
    cut = scored(folder / "many", tmp_path / "cut.json", [tmp_path / "cut.jsonl"])
    assert "- `cut`: 20 questions have no prediction; each scores 0.\n" in run(folder / "near.json", cut)[1]


# --- marks ------------------------------------------------------------------------------------------------------------


def test_a_mark_tells_rows_apart_that_differ_and_none_those_that_do_not(run: Run, results: list[Path]) -> None:
    _, page, _ = run(*results)
    for task in TASKS:
        order = [row for row in cells(page, task) if row[1] != "paper"]
        marks = {row[0].strip("`"): "\\*" in row[-1] for row in order}
        first = next(row[0].strip("`") for row in order if row[0].strip("`") in ("near", "near too"))
        assert not marks[first]
        assert marks["gold"]
        assert marks[{"near", "near too"}.difference({first}).pop()]
        assert marks["far"]
        assert order[-1][-1] == ""


@pytest.mark.usefixtures("as_many_as_released")
def test_a_lead_is_the_mean_difference_of_the_questions_to_the_next_scored_row(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    """Across rows of the paper, and with the interval of a plain paired bootstrap."""
    _, page, _ = run(folder / "near too.json", folder / "lost.json")
    rows = cells(page, "temporal")
    assert [row[0] for row in rows if row[1] != "paper"] == ["`near too`", "`lost`"]
    first, second = (
        np.array(plain_values(folder / f"{name}.json", name, "temporal", "m_tIoU"), dtype=float)
        for name in ("near too", "lost")
    )
    value, low, high = map(float, re.findall(r"-?\d+\.\d+", rows[0][-1]))
    rng = np.random.default_rng(1)
    plain = [(first - second)[rng.integers(0, 40, 40)].mean() for _ in range(4000)]
    assert value == pytest.approx(100 * (first - second).mean(), abs=0.006)
    assert (low, high) == pytest.approx(tuple(100 * np.quantile(plain, [0.025, 0.975])), abs=0.05 * (high - low))


def test_a_page_is_repeatable_and_its_seed_moves_the_intervals(run: Run, results: list[Path]) -> None:
    first, again, other = (run(*results, "--seed", seed)[1] for seed in (0, 0, 1))
    assert first == again != other


def test_the_correction_counts_all_pairs_of_a_table(run: Run, folder: Path, tmp_path: Path) -> None:
    """A difference that is marked between two rows alone loses its mark among many pairs of equal rows."""
    lines = [json.loads(line) for line in (folder / "near.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in [row for row in lines if "-temporal-" in row["question_id"]][:6]:
        row["text"] = ""  # 6 of 40: a p-value of about 2 (34 / 40) ** 40 = 0.003
    (tmp_path / "worse.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    path = scored(folder / "many", tmp_path / "worse.json", [tmp_path / "worse.jsonl"])
    near = changed(folder / "near.json", tmp_path / "near.json", lambda own: [own["models"].pop(name) for name in FLOORS])
    copies = [renamed(path, tmp_path / f"copy{number}.json", {"worse": f"worse {number}"}) for number in range(30)]
    alone, many = (
        next(row for row in cells(run(near, path, *more)[1], "temporal") if row[0] == "`near`")[-1] for more in ([], copies)
    )
    assert "\\*" in alone
    assert "\\*" not in many
    assert alone.replace("\\*", "").split("<")[0] == many.split("<")[0]


def test_a_file_without_scores_of_questions_gets_no_mark_and_the_page_says_so(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    old = changed(folder / "far.json", tmp_path / "old.json", lambda content: content.pop("questions"))
    _, page, _ = run(folder / "near.json", old, folder / "lost.json")
    leads = {row[0].strip("`"): row[-1] for row in cells(page, "temporal")}
    assert f"- `{old}` has no scores of single questions (an older r-avst-score): its rows have no mark.\n" in page
    assert leads["far"] == ""
    assert "\\*" in leads["gold"]  # to the floor below it, which the other file has with scores of questions


def test_too_few_questions_are_not_tested_and_the_page_says_so(run: Run, tmp_path: Path, tiny_release: Path) -> None:
    build_release(str(tiny_release), None, None, tmp_path / "tiny")
    files = []
    for name, share in (("good", 0.05), ("bad", 0.3)):
        predictions = perturbed_gold(tmp_path / "tiny", tmp_path / f"{name}.jsonl", share, seed=1)
        files.append(scored(tmp_path / "tiny", tmp_path / f"{name}.json", [predictions]))
    code, page, _ = run(*files[::-1])
    assert code == 0
    for task in TASKS:
        rows = [row for row in cells(page, task) if row[1] == "measured"]
        assert [(row[0], row[-1]) for row in rows] == [("`good`", ""), ("`bad`", "")]
    assert "- Fewer than 30 questions, so no difference is tested: temporal, spatial, spatio_temporal.\n" in page


def test_the_released_questions_tell_two_perturbed_predictors_apart(
    run: Run, release_file: Path, unav_file: Path, tmp_path: Path
) -> None:
    dataset = tmp_path / "r-avst"
    build_release(str(release_file), unav_file, None, dataset)
    good = scored(dataset, tmp_path / "a.json", [perturbed_gold(dataset, tmp_path / "good.jsonl", 0.10, seed=1)])
    bad = scored(dataset, tmp_path / "b.json", [perturbed_gold(dataset, tmp_path / "bad.jsonl", 0.12, seed=2)])
    code, page, _ = run(bad, good)
    assert code == 0
    assert "## Spatial (paper, table 2), by m_vIoU: 665 questions, 1 more for which it is not defined\n" in page
    for task in TASKS:
        rows = [row for row in cells(page, task) if row[1] == "measured"]
        assert [row[0] for row in rows] == ["`good`", "`bad`"]
        assert "\\*" in rows[0][-1]
        assert sorted(row[0] for row in cells(page, task) if row[1] == "paper") == sorted(MODELS)


# --- the page ---------------------------------------------------------------------------------------------------------


def html_of(markdown: str) -> str:
    reader = pytest.importorskip("markdown_it")
    made: str = reader.MarkdownIt("gfm-like", {"linkify": False}).render(markdown)
    return made


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_in_a_name_is_read_as_markdown_or_html(run: Run, folder: Path, tmp_path: Path, name: str) -> None:
    named = renamed(folder / "lost.json", tmp_path / "named.json", {"lost": name})
    hostile = changed(named, tmp_path / "hostile.json", lambda content: content["settings"].update(dataset=name))
    code, page, _ = run(hostile)
    made = html_of(page)
    assert code == 0
    assert set(re.findall(r"</?([a-z0-9]+)", made)) == HTML_TAGS
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)
    for body, task in zip(re.findall(r"<tbody>(.*?)</tbody>", made, re.DOTALL), TASKS, strict=True):
        lines = [re.findall(r"<td[^>]*>(.*?)</td>", line, re.DOTALL) for line in body.split("</tr>")[:-1]]
        assert {len(line) for line in lines} == {len(SCORES[task]) + {"spatio_temporal": 5}.get(task, 4)}
        measured = [html.unescape(line[0]) for line in lines if line[1] == "measured"]
        assert [one.replace("\\x5c", "\\") for one in measured] == [f"<code>{shown}</code>"]


def test_a_prediction_file_with_a_hostile_name_comes_through_both_commands(run: Run, folder: Path, tmp_path: Path) -> None:
    name = "a|b <img src=x>\n`c"
    predictions = tmp_path / f"{name}.jsonl"
    predictions.write_bytes((folder / "far.jsonl").read_bytes())
    code, page, _ = run(scored(folder / "many", tmp_path / "scores.json", [predictions]))
    assert code == 0
    assert html_of(page).count("<code>a|b &lt;img src=x&gt;\\n`c</code>") == 3


@pytest.mark.usefixtures("as_many_as_released")
def test_with_out_the_page_is_in_the_file_and_plain_tables_are_printed(
    run: Run, results: list[Path], folder: Path, tmp_path: Path
) -> None:
    named = renamed(folder / "lost.json", tmp_path / "named.json", {"lost": "\x1b[31mred\nrow"})
    out = tmp_path / "leaderboard.md"
    code, printed, _ = run(*results, named, "--out", out)
    assert code == 0
    assert out.read_text(encoding="utf-8") == run(*results, named)[1]
    assert "\x1b" not in printed
    assert re.search(r"│ \\x1b\[31mred\\nrow +│ measured │", printed)
    assert "<br>" not in printed
    for task in TASKS:
        assert f"\n{TITLES[task]}, by {RANKED_BY[task]}: 40 questions\n┌─" in printed
    assert printed.count("AVST-Zero 7B") == 3


def test_without_intervals_the_page_has_none_and_still_marks(run: Run, folder: Path, tmp_path: Path) -> None:
    files = [
        scored(folder / "many", tmp_path / f"{name}.json", [folder / f"{name}.jsonl"], "--bootstrap-samples", 0)
        for name in ("near", "far")
    ]
    code, page, _ = run(*files)
    rows = [row for row in cells(page, "temporal") if row[1] == "measured"]
    assert code == 0
    assert "Percent; scored without intervals." in page
    assert all("<sub>" not in cell for row in rows for cell in row[:-1])
    assert "\\*" in rows[0][-1]


# --- what it refuses --------------------------------------------------------------------------------------------------


def test_one_name_in_two_files_is_refused_by_both(run: Run, folder: Path, tmp_path: Path) -> None:
    other = renamed(folder / "far.json", tmp_path / "other.json", {"far": "near"})
    code, out, err = run(folder / "near.json", other)
    assert (code, out) == (2, "")
    assert f"r-avst-leaderboard: {folder / 'near.json'} and {other} both have a model named 'near': rows are named" in err
    assert run(folder / "near.json", folder / "near.json")[0] == 2


def test_a_floor_that_differs_between_files_is_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content.pop("questions")
        content["models"]["whole video"]["figures"]["temporal"]["m_tIoU"]["value"] = 0.5

    other = changed(folder / "far.json", tmp_path / "other.json", change)
    code, _, err = run(folder / "near.json", other)
    assert code == 2
    assert f"the floor 'whole video' has other figures in {other} than in {folder / 'near.json'}: write both" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "3"], "seed is 0 in the first and 3 in the second"),
        (["--balanced", "--seed", "0"], "balanced is False in the first and True in the second"),
        (["--bootstrap-samples", "20"], "bootstrap_samples is 50 in the first and 20 in the second"),
    ],
)
def test_files_scored_by_other_options_are_refused(
    run: Run, folder: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    other = scored(folder / "many", tmp_path / "other.json", [folder / "far.jsonl"], *options)
    code, out, err = run(folder / "near.json", other, "--out", tmp_path / "page.md")
    assert (code, out) == (2, "")
    assert f"{folder / 'near.json'} and {other} cannot stand in one table: {message}" in err
    assert not (tmp_path / "page.md").exists()


def test_resamples_that_can_mark_nothing_are_refused_with_the_number_that_can(run: Run, results: list[Path]) -> None:
    code, _, err = run(*results, "--resamples", 100)
    assert code == 2
    assert "--resamples 100 is too few to mark any of 7 differences: give 280 or more" in err
    assert run(*results, "--resamples", 280)[0] == 0


def test_scores_undefined_for_other_questions_are_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        values = content["questions"]["scores"]["far"]["temporal"]["m_tIoU"]
        values[0] = None
        figure = content["models"]["far"]["figures"]["temporal"]["m_tIoU"]
        figure.update(value=sum(values[1:]) / 39, count=39)

    other = changed(folder / "far.json", tmp_path / "other.json", change)
    for more in ([folder / "near.json"], [folder / "lost.json"]):
        code, _, err = run(other, *more)
        assert code == 2
        assert "m_tIoU of temporal is undefined for other questions in one row than in another" in err


def test_two_rows_of_which_one_is_undefined_where_the_other_is_not_are_refused(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    def change(content: dict[str, Any]) -> None:
        values = content["questions"]["scores"]["lost"]["temporal"]["m_tIoU"]
        values[0] = None
        content["models"]["lost"]["figures"]["temporal"]["m_tIoU"].update(value=sum(values[1:]) / 39, count=39)

    code, _, err = run(folder / "near too.json", changed(folder / "lost.json", tmp_path / "other.json", change))
    assert code == 2
    assert "is undefined for other questions in one row than in another" in err


def test_a_floor_that_another_machine_rounds_otherwise_is_the_same(run: Run, folder: Path, tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["models"]["whole video"]["figures"]["temporal"]["m_tIoU"]["value"] += 1e-12

    code, page, _ = run(folder / "near.json", changed(folder / "far.json", tmp_path / "other.json", change))
    assert (code, page.count("`whole video`")) == (0, 3)


def test_files_without_any_model_are_refused(run: Run, folder: Path, tmp_path: Path) -> None:
    empty = changed(folder / "far.json", tmp_path / "empty.json", lambda content: content["models"].clear())
    code, out, err = run(empty)
    assert (code, out) == (2, "")
    assert f"{empty} holds no figures of any model" in err


def test_files_and_places_that_cannot_be_used_are_named(run: Run, results: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}", encoding="utf-8")
    for given, message in (
        ([tmp_path / "absent.json"], f"{tmp_path / 'absent.json'}: it cannot be read"),
        ([tmp_path / "bad.json"], f"{tmp_path / 'bad.json'}: 'settings' should be an object with keys, but is missing"),
        ([*results, "--out", results[0]], f"{results[0]} is one of the files to read: give --out another name"),
        ([*results, "--out", tmp_path / "absent" / "page.md"], "page.md: it cannot be written (No such file"),
    ):
        code, out, err = run(*given)
        assert (code, out) == (2, "")
        assert f"r-avst-leaderboard: {message}" in err or message in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "the following arguments are required: FILE"),
        (["x.json", "--resamples", "0"], "--resamples: '0' is too few"),
        (["x.json", "--seed", "-1"], "--seed"),
        (["x.json", "--allow-different"], "unrecognized arguments: --allow-different"),
    ],
)
def test_options_that_make_no_sense_exit_with_2(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_the_module_runs_by_its_path_and_its_help_teaches(results: list[Path], tmp_path: Path) -> None:
    command = [sys.executable, leaderboard.__file__]
    answered = subprocess.run([*command, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    assert "r-avst-leaderboard results/*.json --out leaderboard.md" in answered.stdout
    assert "paired bootstrap" in answered.stdout
    made = subprocess.run([*command, *map(str, results)], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("# R-AVST leaderboard\n")


def test_the_examples_hold() -> None:
    found = doctest.testmod(leaderboard)
    assert (found.attempted, found.failed) == (1, 0)
