"""The version of the metric: raised when a score changes its meaning or its value."""

VERSION = "1.0.0"
