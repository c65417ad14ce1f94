"""Finding named things in frames and following them: the matching, and the models behind one small protocol."""
