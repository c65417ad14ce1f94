"""What the paper (arXiv 2511.16901) states of its data set, to print beside what is counted here."""

from dataclasses import dataclass

from r_avst.metrics.avst_metrics.answers import Task


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A row of the paper's table 1; None where it gives no figure.

    ``mean_length`` in seconds; ``modality`` of the annotations: V visual, A audio.
    """

    videos: int
    classes: int | None
    mean_length: float | None
    objects_a_video: float | None
    modality: str


OURS = "R-AVST"
TABLE_1: dict[str, DatasetRow] = {
    "Charades-STA": DatasetRow(10_009, 157, 30.0, None, "V"),
    "AVE": DatasetRow(4_143, 28, 10.0, None, "VA"),
    "UnAV-100": DatasetRow(10_790, 100, 42.1, None, "VA"),
    "PU-VALOR": DatasetRow(114_000, None, 10.0, None, "VA"),
    "LongVALE": DatasetRow(8_411, None, 235.0, None, "VA"),
    "VidSTG": DatasetRow(6_924, 79, 28.01, 1.0, "V"),
    "HCSTVG-v1": DatasetRow(5_660, 1, 20.0, 1.0, "V"),
    "HCSTVG-v2": DatasetRow(16_544, 1, 20.0, 1.0, "V"),
    "BOSTVG": DatasetRow(10_018, 23, 36.5, 2.4, "V"),
    "V-STaR": DatasetRow(2_094, None, 110.23, None, "V"),
    "AVSBench-V1": DatasetRow(5_356, 23, 5.0, None, "VA"),
    "AVSBench-V2": DatasetRow(12_356, 70, 7.64, None, "VA"),
    "VPO": DatasetRow(22_019, 21, 10.0, None, "VA"),
    "LU-AVS": DatasetRow(7_200, 88, 41.97, None, "VA"),
    OURS: DatasetRow(5_237, 100, 42.17, 5.2, "VA"),
}
TABLE_5: dict[str, dict[Task, int]] = {
    "train": {"temporal": 2_663, "spatial": 2_666, "spatio_temporal": 1_204},
    "test": {"temporal": 663, "spatial": 664, "spatio_temporal": 306},
}
# Section 3
VIDEOS = {"train": 4_171, "test": 1_066}
TOTAL_LENGTH = 220_833.0  # seconds; the paper says "over"
OBJECTS = 27_253
VISIBLE_AND_AUDIBLE = 0.5088  # share of the objects
