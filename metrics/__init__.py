"""What an answer is, and what it scores."""
