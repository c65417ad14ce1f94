"""R-AVST in evaluators that others run: a task of lmms-eval, and a table in the style of VLMEvalKit."""
