"""Publishes on the Hugging Face Hub: `r-avst-publish dataset --repo-id user/r-avst`."""

# Absolute imports, so that the file also runs by its path.
import argparse
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

from huggingface_hub import RepoCard

from r_avst.dataset_builder.hub_names import HUB_NAME
from r_avst.metrics import avst_metrics
from r_avst.model_cards.artefact_checks import check_artefact
from r_avst.model_cards.artefacts import CARD
from r_avst.model_cards.artefacts import DATASET
from r_avst.model_cards.artefacts import METRIC
from r_avst.model_cards.artefacts import MODEL
from r_avst.model_cards.artefacts import SPACE
from r_avst.model_cards.artefacts import VIDEOS
from r_avst.model_cards.artefacts import Artefact
from r_avst.model_cards.artefacts import ArtefactKind
from r_avst.model_cards.artefacts import PublishError
from r_avst.model_cards.artefacts import collect
from r_avst.model_cards.artefacts import stage
from r_avst.model_cards.hub_errors import NO_HALF
from r_avst.model_cards.hub_errors import HubError
from r_avst.model_cards.measured import CardError
from r_avst.model_cards.publishing import Plan
from r_avst.model_cards.publishing import Published
from r_avst.model_cards.publishing import Target
from r_avst.model_cards.publishing import check_target
from r_avst.model_cards.publishing import preview
from r_avst.model_cards.publishing import publish
from r_avst.model_cards.read_back import differences
from r_avst.model_cards.read_back import read_back
from r_avst.model_cards.shared_videos import LICENCES
from r_avst.model_cards.shared_videos import SUFFIX
from r_avst.model_cards.shared_videos import shared_videos
from r_avst.model_cards.shared_videos import video_folder
from r_avst.model_cards.space_files import Demo
from r_avst.model_cards.space_files import demo_places

DESCRIPTION = """\
Publishes a data set, the metric, a Space or a model on the Hugging Face Hub, in one commit each.

Only files that belong to what is published go out; the others are named. Only what changed is sent; files of ours that are
no longer here are deleted there. After an upload that was broken off, the same command goes on. At the end everything is
loaded back in a fresh process with an empty cache and compared with what is here.
"""
EPILOG = """\
examples:
  r-avst-publish dataset --repo-id user/r-avst --folder r-avst --figures figures --dry-run
  r-avst-publish dataset --repo-id user/r-avst --folder r-avst --with-videos videos   # and user/r-avst-videos
  r-avst-publish metric --repo-id user/avst_metrics
  r-avst-publish space --repo-id user/r-avst-demo --dataset user/r-avst --videos user/r-avst-videos --predictions a.jsonl
  r-avst-publish space --repo-id user/r-avst-ask --model user/avst-zero --arguments="--fps 2 --max-frames 16"
  r-avst-publish model --repo-id user/avst-zero --folder checkpoint --card cards/avst-zero.md
"""
FOLDERS = {
    DATASET: "folder of r-avst-build (default: %(default)s)",
    METRIC: "folder of the metric (default: the one that is installed)",
    SPACE: "folder with the card and app.py of a Space (default: the demo of this project, see below)",
    MODEL: "folder of save_pretrained: a checkpoint or an adapter",
}
DEFAULT_FOLDERS = {DATASET: Path("r-avst"), METRIC: Path(str(avst_metrics.__file__)).parent, SPACE: None}


@dataclass(frozen=True, slots=True)
class Publication:
    """One artefact, its card, where it goes, and a folder with its files as they will lie there."""

    artefact: Artefact
    card: RepoCard
    target: Target
    staged: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-publish`."""
    options = _parser().parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="r-avst-publish-") as scratch:
            _run(_publications(options, Path(scratch)), options)
    except (CardError, OSError, PublishError) as error:
        print(f"r-avst-publish: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"r-avst-publish: stopped; {NO_HALF}", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="r-avst-publish",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    for kind in FOLDERS:
        _add_common(kinds.add_parser(kind.name, help=f"publish a {kind.name}"), kind)
    dataset = kinds.choices[DATASET.name]
    dataset.add_argument(
        "--figures", type=Path, metavar="DIR", help="of r-avst-stats; they go to figures/ (default: those on the Hub stay)"
    )
    dataset.add_argument(
        "--with-videos",
        type=Path,
        metavar="DIR",
        help=f"also publish, in USER/NAME{SUFFIX}, those videos of the data set that DIR/{LICENCES} says may be shared",
    )
    _add_demo(kinds.choices[SPACE.name].add_argument_group("the demo, where no --folder is given"))
    return parser


def _add_demo(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--dataset", metavar="USER/NAME", help="what it shows (default: a small made-up data set)")
    group.add_argument(
        "--videos", metavar="USER/NAME", help=f"of the data set, as {DATASET.name} --with-videos publishes them"
    )
    group.add_argument(
        "--predictions", type=Path, nargs="+", default=[], metavar="FILE", help="of r-avst-predict; they go to examples/"
    )
    group.add_argument("--model", metavar="USER/NAME", help="which answers questions about uploads (default: none does)")
    group.add_argument(
        "--arguments",
        type=_words,
        default=(),
        metavar='"..."',
        help="more of those of r-avst-space, which are handed on unchecked, as how the model is to be asked; "
        'with "=", for they begin with dashes: --arguments="--fps 2 --max-frames 16"',
    )


def _add_common(parser: argparse.ArgumentParser, kind: ArtefactKind) -> None:
    parser.set_defaults(kind=kind, figures=None, with_videos=None)
    parser.add_argument("--repo-id", required=True, type=_repo_id, metavar="USER/NAME")
    parser.add_argument(
        "--folder",
        type=Path,
        default=DEFAULT_FOLDERS.get(kind),
        required=kind not in DEFAULT_FOLDERS,
        metavar="DIR",
        help=FOLDERS[kind],
    )
    parser.add_argument(
        "--card",
        type=Path,
        metavar="FILE",
        help=f"of r-avst-cards (default: the folder's {CARD}); it replaces the page on the Hub",
    )
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--dry-run", action="store_true", help="list every file and its size, and what would change")
    parser.add_argument(
        "--check",
        choices=tuple(_CHECKS),
        default="load",
        help="load: load everything before and after, and compare; files: compare checksums, download nothing "
        "(default: %(default)s)",
    )


def _repo_id(text: str) -> str:
    if not HUB_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form user/name")
    return text


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not written as for a shell ({error})") from None


def _publications(options: argparse.Namespace, scratch: Path) -> list[Publication]:
    """What is to be published, all of it checked before anything is sent."""
    places = _places(options, scratch)
    publications = [_publication(options.kind, places, {}, options.repo_id, options.private, scratch / "staged")]
    if options.with_videos:
        videos, left_out = shared_videos(options.with_videos, options.folder)
        own_places = video_folder(videos, options.repo_id, scratch / "videos")
        repo_id = f"{options.repo_id}{SUFFIX}"
        publications.append(_publication(VIDEOS, own_places, left_out, repo_id, options.private, scratch / "staged-videos"))
    return publications


def _places(options: argparse.Namespace, scratch: Path) -> dict[str, Path]:
    """Where the files lie, by their path in the repository or that of their folder."""
    places = _demo_places(options, scratch) if options.kind is SPACE else {"": options.folder}
    if options.figures:
        places["figures/"] = options.figures
    if options.card:
        places[CARD] = options.card
    elif options.folder == DEFAULT_FOLDERS[METRIC]:
        places[CARD] = _metric_card(scratch / CARD)
    return places


def _demo_places(options: argparse.Namespace, scratch: Path) -> dict[str, Path]:
    """Of a Space: the folder that was given, or the demo."""
    demo = Demo(options.dataset, options.videos, tuple(options.predictions), options.model, options.arguments)
    if options.folder is None:
        return demo_places(demo, scratch)
    if demo != Demo():
        raise PublishError(
            "--dataset, --videos, --predictions, --model and --arguments are of the demo: leave --folder out, or them"
        )
    return {"": options.folder}


def _metric_card(path: Path) -> Path:
    """The page of the metric with its version. Imported here: `evaluate` takes seconds, and the others do without."""
    from r_avst.model_cards.metric_card import metric_card

    path.write_text(metric_card(), encoding="utf-8")
    return path


def _publication(
    kind: ArtefactKind, places: Mapping[str, Path], left_out: dict[str, str], repo_id: str, private: bool, scratch: Path
) -> Publication:
    artefact = collect(kind, places)
    artefact = replace(artefact, left_out=artefact.left_out | left_out)
    card = check_artefact(artefact, repo_id)
    staged = scratch / repo_id.split("/")[1]
    stage(artefact, staged)
    return Publication(artefact, card, Target(repo_id, kind.repo_type, private), staged)


def _run(publications: Sequence[Publication], options: argparse.Namespace) -> None:
    if options.dry_run:
        for publication in publications:
            _show(publication)
        return
    for publication in publications:
        check_target(publication.target, publication.card)
    for publication in publications:
        _CHECKS[options.check](publication)


def _show(publication: Publication) -> None:
    """What would happen; a Hub that cannot be read is no reason not to list the files."""
    try:
        remote, plan = preview(publication.artefact, publication.target)
    except HubError as error:
        print(f"not compared with the Hub: {error}", file=sys.stderr)
        _show_not_compared(publication)
        return
    state = "is there" if remote else "would be made"
    target = publication.target
    print(f"{target.repo_id} ({target.repo_type}, {state}):")
    for verb, files in (("upload", plan.uploaded), ("keep", plan.unchanged)):
        for file in files:
            print(f"  {verb:<7} {file.size:>15,}  {file.path}")
    for path in plan.deleted:
        print(f"  {'delete':<7} {'':>15}  {path}")
    _tell_left_out(publication.artefact)
    _tell_card(publication.artefact, plan)
    print(f"  dry run: nothing was sent; {_described(plan)}")


def _show_not_compared(publication: Publication) -> None:
    artefact, target = publication.artefact, publication.target
    print(f"{target.repo_id} ({target.repo_type}, not known whether it is there):")
    for file in artefact.files:
        print(f"  {'publish':<7} {file.size:>15,}  {file.path}")
    _tell_left_out(artefact)
    total = sum(file.size for file in artefact.files)
    print(f"  dry run: nothing was sent; {len(artefact.files)} files ({total:,} bytes); what would change is not known")


def _publish_and_load(publication: Publication) -> None:
    kind, target = publication.artefact.kind.name, publication.target
    print(f"loading {target.repo_id} as its users will, in a fresh process: first what is here, in the end what is there")
    here = read_back(kind, str(publication.staged), None)
    published = _publish(publication)
    there = read_back(kind, target.repo_id, published.commit)
    if found := differences(here, there):
        raise PublishError(f"{target.repo_id}: what loads from the Hub is not what is here: {'; '.join(found)}")
    for part, told in there.items():
        print(f"  loaded back {part}: {', '.join(f'{key} {value}' for key, value in told.items())}")


def _publish(publication: Publication) -> Published:
    target = publication.target
    _tell_left_out(publication.artefact)
    published = publish(publication.artefact, target)
    print(f"{target.repo_id} ({target.repo_type}): commit {published.commit}; {_described(published.plan)}")
    print(f"  the checksums of all {len(publication.artefact.files)} files on the Hub are those of the files here")
    _tell_card(publication.artefact, published.plan)
    return published


_CHECKS: dict[str, Callable[[Publication], object]] = {"load": _publish_and_load, "files": _publish}


def _tell_left_out(artefact: Artefact) -> None:
    for path, reason in artefact.left_out.items():
        print(f"  left out: {path} ({reason})")


def _tell_card(artefact: Artefact, plan: Plan) -> None:
    if CARD in plan.replaced:
        print(f"  the page on the Hub is replaced by {artefact.source(CARD)}; --card FILE publishes another")


def _described(plan: Plan) -> str:
    return (
        f"{len(plan.uploaded)} files new or changed ({plan.upload_bytes:,} bytes), {len(plan.unchanged)} unchanged, "
        f"{len(plan.deleted)} deleted"
    )


if __name__ == "__main__":
    sys.exit(main())
