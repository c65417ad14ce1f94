"""From videos, captions and released annotations to the `r-avst` data set."""
