"""Training: AVST-Zero and AVST-Zero-Omni with TRL, on video and on video with sound."""
