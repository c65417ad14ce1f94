"""Draws bench/floors.svg, the README's picture, from release/floors.json: `python bench/floors_figure.py`.

Temporal m_tIoU of the paper's models (its table 3) beside the answer "the whole video", measured by `make demo`. Colours
are readable on a light and on a dark page.
"""

import json
from pathlib import Path
from xml.sax.saxutils import escape

from r_avst.metrics.paper_tables import paper_rows

ROOT = Path(__file__).parents[1]
ROW_HEIGHT, LABEL_WIDTH, BAR_WIDTH, TOP = 26, 190, 460, 44
TEXT, MODEL, CONSTANT = "#808890", "#4c86b8", "#d9822b"


def main() -> None:
    figures = json.loads((ROOT / "release" / "floors.json").read_text(encoding="utf-8"))["models"]["whole video"]["figures"]
    measured = figures["temporal"]["m_tIoU"]
    bars = {name: own["m_tIoU"] for name, own in paper_rows("temporal").items()} | {"the whole video": measured["value"]}
    ranked = sorted(bars.items(), key=lambda bar: -bar[1])
    height = TOP + ROW_HEIGHT * len(ranked) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LABEL_WIDTH + BAR_WIDTH + 60} {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<text x="0" y="18" fill="{TEXT}" font-size="15">'
        "m_tIoU on the temporal questions: a constant answer, and the paper's models</text>",
        *(line for row, (name, value) in enumerate(ranked) for line in _bar(row, name, value)),
        "</svg>",
    ]
    (ROOT / "bench" / "floors.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _bar(row: int, name: str, value: float) -> list[str]:
    y = TOP + row * ROW_HEIGHT
    colour = CONSTANT if name == "the whole video" else MODEL
    return [
        f'<text x="{LABEL_WIDTH - 8}" y="{y + 13}" text-anchor="end" fill="{TEXT}">{escape(name)}</text>',
        f'<rect x="{LABEL_WIDTH}" y="{y}" width="{value * BAR_WIDTH / 0.6:.1f}" height="{ROW_HEIGHT - 8}" fill="{colour}"/>',
        f'<text x="{LABEL_WIDTH + value * BAR_WIDTH / 0.6 + 6:.1f}" y="{y + 13}" fill="{TEXT}">{value * 100:.2f}</text>',
    ]


if __name__ == "__main__":
    main()
