"""Getting the videos that a data set needs: from the Hub, from YouTube, and what became of each."""
