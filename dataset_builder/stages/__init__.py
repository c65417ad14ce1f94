"""From videos with captions to questions with boxes: filter, captions, boxes, questions, quality; one file a stage."""
