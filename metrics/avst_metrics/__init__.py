"""The `evaluate` module for R-AVST; also a complete Hub Space folder."""
