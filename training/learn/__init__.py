"""Proof that training learns: tiny models, synthetic clips, held-out scores, controls."""
