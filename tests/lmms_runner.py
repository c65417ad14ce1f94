"""Runs lmms-eval's own command line with a model of known answers. For an interpreter that has lmms-eval, not this one.

``python lmms_runner.py --model reader --model_args answers=FILE ...``, or ``--model chat_reader``. FILE is JSON, question id
to text. What the model was given goes to FILE.asked.jsonl.
"""

import json
from pathlib import Path
from typing import Any

from lmms_eval.__main__ import cli_evaluate
from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from lmms_eval.models import MODEL_REGISTRY_V2
from lmms_eval.models import ModelManifest


class Reader(lmms):
    """Answers with the texts of a file; takes media and text as lmms-eval's older models do."""

    def __init__(self, answers: str, **_: Any) -> None:
        super().__init__()
        self.answers = json.loads(Path(answers).read_text(encoding="utf-8"))
        self.log = Path(f"{answers}.asked.jsonl")

    def generate_until(self, requests: list[Instance]) -> list[str]:
        with self.log.open("a", encoding="utf-8") as file:
            return [self.answer(*request.args, file) for request in requests]

    def answer(self, context, options, doc_to_visual, doc_id, task, split, file) -> str:
        doc = self.task_dict[task][split][doc_id]
        return self.noted(doc, {"text": context, "media": doc_to_visual(doc), "options": options}, file)

    def noted(self, doc, given, file) -> str:
        print(json.dumps({"question_id": doc["question_id"], **given}), file=file)
        return self.answers[doc["question_id"]]

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        raise NotImplementedError

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        raise NotImplementedError


class ChatReader(Reader):
    """Takes messages as lmms-eval's newer models do."""

    is_simple = False

    def answer(self, context, doc_to_messages, options, doc_id, task, split, file) -> str:
        doc = self.task_dict[task][split][doc_id]
        return self.noted(doc, {"messages": doc_to_messages(doc), "options": options}, file)


if __name__ == "__main__":
    MODEL_REGISTRY_V2.register_manifest(ModelManifest(model_id="reader", simple_class_path="lmms_runner.Reader"))
    MODEL_REGISTRY_V2.register_manifest(ModelManifest(model_id="chat_reader", chat_class_path="lmms_runner.ChatReader"))
    cli_evaluate()
