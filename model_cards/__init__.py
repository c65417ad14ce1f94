"""Cards rendered from measurements, and publishing: `r-avst-cards`, `r-avst-publish`."""
