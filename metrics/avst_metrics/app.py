"""The metric's page on the Hub: score one answer and see what the parser made of it. `python app.py` serves it locally."""

from pathlib import Path
from typing import Any

import evaluate
import gradio as gr

FOLDER = Path(__file__).parent
SCORE_COLUMNS = ["score", "value"]
EXAMPLE_TRUTH = """\
<answer>
<object>dog</object>
<when>[1.0, 4.0]</when>
<where>
1.0: [100.0, 120.0, 260.0, 300.0]
2.0: [110.0, 120.0, 270.0, 300.0]
3.0: [120.0, 120.0, 280.0, 300.0]
</where>
</answer>"""
EXAMPLE_PREDICTION = """\
<answer>
<object>a dog</object>
<when>[1.5, 4.0]</when>
<where>
1.2: [104.0, 118.0, 255.0, 310.0]
2.2: [108.0, 118.0, 262.0, 310.0]
</where>
</answer>"""

metric = evaluate.load(str(FOLDER / "avst_metrics.py"))


def score(prediction: str, reference: str) -> tuple[list[list[Any]], str]:
    """The scores of one answer as table rows, and the problems met in its text."""
    try:
        result = metric.compute(
            predictions=[prediction],
            references=[reference],
            coordinate_space="source",
            word_vectors="exact",
            bootstrap_samples=0,
            per_question=True,
        )
    except ValueError as error:
        raise gr.Error(str(error)) from None
    rows = [[name, round(own["value"], 4)] for name, own in result["overall"].items() if own["value"] is not None]
    problems = result["per_question"][0]["problems"]
    return rows, ", ".join(problems) or "none: the answer is well formed"


def page() -> Any:
    """The page: two texts in, a table of scores out, above the card."""
    card = (FOLDER / "README.md").read_text(encoding="utf-8").split("---", 2)[2]
    with gr.Blocks(title="avst_metrics") as blocks:
        gr.Markdown(
            "# Score an answer\nBoxes are in pixels of the video. Names match by their letters here, without word vectors."
        )
        with gr.Row():
            prediction = gr.Textbox(EXAMPLE_PREDICTION, label="Prediction", lines=12)
            reference = gr.Textbox(EXAMPLE_TRUTH, label="Reference", lines=12)
        button = gr.Button("Score", variant="primary")
        with gr.Row():
            table = gr.Dataframe(headers=SCORE_COLUMNS, label="Scores, 0 to 1", interactive=False)
            problems = gr.Textbox(label="Problems in the text", interactive=False)
        # one at a time: a metric of evaluate keeps what it is given in one file until it has computed
        texts, results = [prediction, reference], [table, problems]
        button.click(score, texts, results, api_name="score", concurrency_limit=1, concurrency_id="metric")
        blocks.load(score, texts, results, api_visibility="private", concurrency_limit=1, concurrency_id="metric")
        gr.Markdown(card)
    return blocks


if __name__ == "__main__":
    page().launch()
