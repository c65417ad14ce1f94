"""The rows of the paper's tables 2 and 3, to print beside measured ones.

Source: arXiv 2511.16901, table 2 (spatial and spatio-temporal) and table 3 (temporal), in percent. The paper counts
663 / 664 / 306 test questions, the released file 666 / 666 / 306; how the paper matched names and times is known in part
only, so its rows are for orientation.
"""

from .avst_metrics.answers import Task

MODELS = (
    "Qwen2.5-VL 7B",
    "Qwen2.5-Omni 7B",
    "Video-LLaMA3 7B",
    "GroundingGPT 7B",
    "InternVL2.5 8B",
    "Video-R1 7B",
    "VideoChat-R1 7B",
    "AVST-Zero 7B",
    "AVST-Zero-Omni 7B",
)

SCORES: dict[Task, tuple[str, ...]] = {
    "temporal": ("m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7"),
    "spatial": ("object_accuracy", "m_vIoU", "AP@0.3", "AP@0.5"),
    "spatio_temporal": ("m_tIoU", "R1@0.3", "R1@0.5", "R1@0.7", "m_vIoU", "AP@0.3", "AP@0.5"),
}
"""The columns of the paper's tables, in its order."""

ROWS: dict[Task, tuple[tuple[float, ...], ...]] = {
    "temporal": (
        (36.05, 46.40, 34.38, 16.22),
        (30.70, 37.09, 18.92, 9.01),
        (37.17, 50.30, 35.29, 22.67),
        (10.77, 11.06, 5.38, 1.84),
        (18.37, 22.07, 10.21, 5.26),
        (22.48, 22.82, 12.16, 6.01),
        (43.17, 60.81, 46.70, 25.68),
        (47.96, 71.13, 51.43, 23.91),
        (34.79, 51.05, 21.32, 11.56),
    ),
    "spatial": (
        (1.91, 2.31, 0.90, 0.15),
        (14.04, 1.96, 2.43, 1.24),
        (15.07, 1.27, 0.16, 0.15),
        (0.55, 0.16, 0.00, 0.00),
        (15.97, 0.74, 0.66, 0.00),
        (13.02, 1.19, 0.95, 0.40),
        (15.54, 1.99, 3.11, 0.36),
        (14.34, 2.27, 3.12, 0.87),
        (19.48, 3.87, 4.47, 2.17),
    ),
    "spatio_temporal": (
        (34.55, 45.10, 29.74, 15.69, 1.37, 1.14, 0.65),
        (33.44, 43.46, 19.28, 9.80, 2.85, 2.99, 1.04),
        (37.43, 50.65, 34.64, 22.22, 1.69, 1.63, 0.00),
        (13.65, 15.05, 6.02, 1.67, 5.59, 3.68, 0.00),
        (21.46, 26.47, 13.07, 7.52, 2.87, 2.80, 0.00),
        (22.05, 26.47, 10.13, 5.23, 0.15, 0.11, 0.00),
        (41.81, 60.78, 44.77, 25.49, 2.15, 3.21, 0.60),
        (46.04, 67.32, 46.08, 23.53, 8.59, 10.38, 3.83),
        (35.97, 50.00, 20.92, 10.46, 17.74, 22.90, 12.26),
    ),
}


def paper_rows(task: Task) -> dict[str, dict[str, float]]:
    """The paper's figures for a task, as ``{model: {score: value in 0..1}}``."""
    return {
        model: {name: value / 100 for name, value in zip(SCORES[task], values, strict=True)}
        for model, values in zip(MODELS, ROWS[task], strict=True)
    }
