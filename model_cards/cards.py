"""Renders cards from measurements: `r-avst-cards dataset`, `r-avst-cards metric`, `r-avst-cards model`."""

# Absolute imports, so that the file also runs by its path.
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from r_avst.dataset_builder.line_files import put_text
from r_avst.model_cards.dataset_card import dataset_card
from r_avst.model_cards.measured import CardError
from r_avst.model_cards.metric_card import metric_card
from r_avst.model_cards.model_kinds import KINDS
from r_avst.model_cards.trained_model_card import ModelFacts
from r_avst.model_cards.trained_model_card import model_card

DESCRIPTION = """\
Renders the cards of the data set, the metric and the models as README.md files for the Hub. Every figure on a card comes
from a file and stands there under the key that the card names; one that was not measured is printed as "not measured".
"""
EPILOG = """\
examples:
  r-avst-cards dataset --dataset r-avst --statistics figures/statistics.json --out r-avst/README.md
  r-avst-cards metric --out avst_metrics/README.md
  r-avst-cards model --kind avst-zero --scores scores.json --recipe recipe.yaml --out model_card.md
"""
MODEL_EPILOG = """\
example:
  r-avst-cards model --kind avst-zero --scores scores.json --recipe recipe.yaml --commit "$(git rev-parse HEAD)" \\
    --hardware "4 x RTX A6000" --out model_card.md
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Console script `r-avst-cards`."""
    options = _parser().parse_args(arguments)
    try:
        put_text(options.out, options.render(options))
    except CardError as error:
        print(f"r-avst-cards: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"r-avst-cards: {options.out} cannot be written ({error.strerror}); give --out FILE", file=sys.stderr)
        return 2
    print(options.out)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="r-avst-cards",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cards = parser.add_subparsers(required=True, metavar="CARD")
    _add_dataset(cards)
    _add_metric(cards)
    _add_model(cards)
    return parser


def _add_dataset(cards: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    dataset = cards.add_parser("dataset", help="of a data set that r-avst-build wrote")
    dataset.add_argument("--dataset", type=Path, default=Path("r-avst"), metavar="DIR", help="default: %(default)s")
    dataset.add_argument("--statistics", type=Path, metavar="FILE", help="statistics.json of r-avst-stats for this data set")
    _add_out(dataset)
    dataset.set_defaults(render=lambda options: dataset_card(options.dataset, options.statistics))


def _add_metric(cards: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    metric = cards.add_parser("metric", help="of the metric's Space")
    _add_out(metric)
    metric.set_defaults(render=lambda _: metric_card())


def _add_model(cards: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    model = cards.add_parser(
        "model",
        help="of a trained model",
        description="What is not given is said to be missing.",
        epilog=MODEL_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model.add_argument("--kind", choices=list(KINDS), required=True, help="which model of the papers it follows")
    model.add_argument("--scores", type=Path, metavar="FILE", help="of r-avst-score --json")
    model.add_argument("--row", metavar="NAME", help="the model's row in the scores, where they have several")
    model.add_argument("--recipe", type=Path, metavar="FILE", help="a YAML mapping, shown as it is")
    model.add_argument("--run", type=Path, metavar="FILE", help="run.json of its training run")
    model.add_argument("--dataset", type=Path, metavar="DIR", help="the data set it was trained on, for its counts")
    model.add_argument("--dataset-id", metavar="USER/NAME", help="the data set it was scored on, on the Hub")
    model.add_argument("--base-model", metavar="USER/NAME", help="if it is not the one of its kind")
    model.add_argument("--licence", default=ModelFacts().licence, metavar="ID", help="of the weights (default: %(default)s)")
    model.add_argument("--commit", metavar="SHA", help="of the code that trained it")
    model.add_argument("--hardware", metavar="TEXT", help="that it was trained on")
    _add_out(model)
    model.set_defaults(render=_model)


def _model(options: argparse.Namespace) -> str:
    facts = ModelFacts(
        scores=options.scores,
        row=options.row,
        recipe=options.recipe,
        run=options.run,
        dataset=options.dataset,
        dataset_id=options.dataset_id,
        base_model=options.base_model,
        licence=options.licence,
        commit=options.commit,
        hardware=options.hardware,
    )
    return model_card(options.kind, facts)


def _add_out(card: argparse.ArgumentParser) -> None:
    card.add_argument("--out", type=Path, required=True, metavar="FILE", help="the README.md to write")


if __name__ == "__main__":
    sys.exit(main())
