"""Which split a video is in."""

from hashlib import sha256

TRAIN, TEST = "train", "test"


def split_of(video_id: str, seed: int, test_share: float = 0.2) -> str:
    """The split of a video, by its id and the seed alone: it stays there whatever videos are added.

    The default is the paper's: 1,066 of 5,237 videos are for testing.

    Raises:
        ValueError: the share is not in 0..1.
    """
    if not 0 <= test_share <= 1:
        raise ValueError(f"the share of test videos is {test_share}; it must be in 0..1")
    drawn = int.from_bytes(sha256(f"{seed} {video_id}".encode()).digest()[:8]) / 2**64
    return TEST if drawn < test_share else TRAIN
