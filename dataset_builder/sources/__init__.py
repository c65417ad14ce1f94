"""Where videos and events come from, one file a source."""
