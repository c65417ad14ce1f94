"""From the name of a checkpoint to a model that can be trained, and its processor.

What can be named: a Qwen2.5-VL; the thinker of a Qwen2.5-Omni; a whole Qwen2.5-Omni; a PEFT adapter of one of these.

The last two are first made into a plain checkpoint in a folder of their own. TRL reads the reference model of GRPO anew from
the path that the policy came from, so that path must hold just the weights that training starts from. A whole Omni gives its
thinker, as its talker and its voice take no part. An adapter is merged into its base: if GRPO went on training the adapter
of SFT, its reference, the model without an adapter, would be the model before SFT.
"""

import json
import os
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final

import torch
import transformers
from accelerate import PartialState
from filelock import FileLock
from peft import PeftConfig
from peft import PeftModel
from transformers import AutoProcessor
from transformers import PreTrainedConfig
from transformers.integrations import deepspeed
from transformers.utils.peft_utils import find_adapter_config_file

from .media import Family
from .media import family_of

THINKER: Final = "qwen2_5_omni_thinker"
MODELS: Final = {
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    THINKER: "Qwen2_5OmniThinkerForConditionalGeneration",
}
WHOLE_OMNI: Final = "qwen2_5_omni"
UNQUANTIZED: Final = ("model.visual", "model.audio_tower", "lm_head")
"""What stays as it is in a quantized model: the encoders of what it sees and hears are small and suffer most."""
_ORIGIN = "made_from.json"


class PolicyError(ValueError):
    """A checkpoint that cannot be trained; the message says what was found and what is supported."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What stands at a name.

    Attributes:
        name: of a folder, or on the Hub.
        revision: on the Hub; a branch, a tag or a commit.
        model_type: as its configuration says; of an adapter, that of its base.
        base: of an adapter, the checkpoint that it belongs to; None for a model.
    """

    name: str
    revision: str
    model_type: str
    base: "Checkpoint | None"

    @property
    def family(self) -> Family:
        """Whether it sees, or sees and hears."""
        return "vl" if self.model_type == "qwen2_5_vl" else "omni"


def find_checkpoint(name: str, revision: str) -> Checkpoint:
    """Looks at the configuration of a checkpoint; no weights are read.

    Raises:
        PolicyError: there is no checkpoint, or one of another kind.
    """
    try:
        if find_adapter_config_file(name, revision=revision) is not None:
            own = PeftConfig.from_pretrained(name, revision=revision)
            base = find_checkpoint(str(own.base_model_name_or_path), own.revision or "main")
            return Checkpoint(name, revision, base.model_type, base)
        config = PreTrainedConfig.get_config_dict(name, revision=revision)[0]
    except (OSError, json.JSONDecodeError) as error:
        raise PolicyError(f"there is no checkpoint at {name!r} ({error})") from None
    if not config:
        raise PolicyError(f"there is no checkpoint at {name!r} (no config.json, no adapter_config.json)")
    model_type = config.get("model_type")
    if model_type not in (*MODELS, WHOLE_OMNI):
        raise PolicyError(
            f"{name!r} is a {model_type!r}; what can be trained is {', '.join((*MODELS, WHOLE_OMNI))}, or an adapter of one"
        )
    return Checkpoint(name, revision, model_type, None)


def load_policy(
    name_or_path: str,
    dtype: str,
    *,
    folder: Path,
    attn_implementation: str | None = None,
    quantization: Any = None,
    revision: str = "main",
) -> tuple[Any, Any]:
    """Loads a model to train and its processor.

    Args:
        name_or_path: of a checkpoint.
        dtype: of the weights: ``float32``, ``bfloat16``, ``float16``, or ``auto`` for the checkpoint's own.
        folder: where a plain checkpoint is made, if one has to be.
        attn_implementation: as transformers names it; None for its default.
        quantization: of `trl.get_quantization_config`; None for none.
        revision: of a checkpoint on the Hub.

    Returns:
        The model, with ``config._name_or_path`` the plain checkpoint, and the processor.

    Raises:
        PolicyError: there is no checkpoint, or one of another kind.
    """
    checkpoint = plain_checkpoint(find_checkpoint(name_or_path, revision), folder)
    options: dict[str, Any] = {"dtype": _dtype(dtype), "revision": checkpoint.revision}
    if attn_implementation is not None:
        options["attn_implementation"] = attn_implementation
    if quantization is not None:
        options |= _quantized(quantization)
    model = _model_class(checkpoint).from_pretrained(checkpoint.name, **options)
    return model, _processor(checkpoint)


def plain_checkpoint(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """The checkpoint itself if it is a plain model, else one made of it in ``folder``, once.

    Several processes may ask at once: one makes it, the others wait. It bears its name only when it is complete.
    """
    if checkpoint.base is not None:
        return _made(checkpoint, folder / "merged", _write_merged)
    if checkpoint.model_type == WHOLE_OMNI:
        return _made(checkpoint, folder / "thinker", _write_thinker)
    return checkpoint


def set_adapter_base(model: Any, checkpoint: Checkpoint) -> None:
    """Lets an adapter that was trained on a whole Omni's thinker name the Omni as its base, which others have too.

    Args:
        model: with an adapter.
        checkpoint: that training started from.
    """
    if checkpoint.base is None and checkpoint.model_type == WHOLE_OMNI:
        for own in model.peft_config.values():
            own.base_model_name_or_path, own.revision = checkpoint.name, checkpoint.revision


def _model_class(checkpoint: Checkpoint) -> Any:
    return getattr(transformers, MODELS[checkpoint.model_type])


def _processor(checkpoint: Checkpoint) -> Any:
    try:
        processor = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            checkpoint.name, revision=checkpoint.revision
        )
        family_of(processor)
    except (OSError, ValueError) as error:
        raise PolicyError(f"{checkpoint.name!r} comes without a processor that takes video: {error}") from None
    return processor


def _dtype(name: str) -> Any:
    return name if name == "auto" else getattr(torch, name)


def _quantized(quantization: Any) -> dict[str, Any]:
    quantization.llm_int8_skip_modules = list(UNQUANTIZED)
    return {"quantization_config": quantization, "device_map": {"": PartialState().device}}


# --- plain checkpoints ------------------------------------------------------------------------------------------------


def _made(checkpoint: Checkpoint, target: Path, write: Callable[[Checkpoint, Path], None]) -> Checkpoint:
    origin = {"name": checkpoint.name, "revision": checkpoint.revision, "changed": _changed(checkpoint.name)}
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if _origin(target) != origin:
            part = target.with_name(f".{target.name}.part")
            for path in (part, target):
                shutil.rmtree(path, ignore_errors=True)
            with _in_one_process():
                write(checkpoint, part)
            (part / _ORIGIN).write_text(json.dumps(origin), encoding="utf-8")
            part.rename(target)
    model_type = THINKER if checkpoint.model_type == WHOLE_OMNI else checkpoint.model_type
    return Checkpoint(str(target), "main", model_type, None)


@contextmanager
def _in_one_process() -> Iterator[None]:
    """Loads whole weights, though the run is to spread them: ZeRO-3 would wait for all processes, FSDP load one's alone."""
    config = deepspeed._hf_deepspeed_config_weak_ref
    fsdp = os.environ.pop("FSDP_CPU_RAM_EFFICIENT_LOADING", None)
    deepspeed.unset_hf_deepspeed_config()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        deepspeed._hf_deepspeed_config_weak_ref = config
        if fsdp is not None:
            os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = fsdp


def _changed(name: str) -> int:
    """When the files of a local checkpoint last changed, in nanoseconds; 0 on the Hub, where a revision tells."""
    return max((path.stat().st_mtime_ns for path in Path(name).glob("*.safetensors")), default=0)


def _origin(folder: Path) -> Any:
    try:
        return json.loads((folder / _ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _write_thinker(checkpoint: Checkpoint, folder: Path) -> None:
    """The weights whose names begin with ``thinker.``, in the checkpoint's own type."""
    thinker = getattr(transformers, MODELS[THINKER])
    model, info = thinker.from_pretrained(
        checkpoint.name, revision=checkpoint.revision, dtype="auto", output_loading_info=True
    )
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])
        raise PolicyError(f"{checkpoint.name!r} lacks {len(missing)} weights of its thinker, such as {missing[0]}")
    model.save_pretrained(folder)
    _processor(checkpoint).save_pretrained(folder)


def _write_merged(checkpoint: Checkpoint, folder: Path) -> None:
    """The base with the adapter's weights added to its own."""
    if checkpoint.base is None:
        raise PolicyError(f"{checkpoint.name!r} is no adapter")
    base = plain_checkpoint(checkpoint.base, folder.with_name("base"))
    model = _model_class(base).from_pretrained(base.name, revision=base.revision, dtype="auto")
    merged: Any = PeftModel.from_pretrained(model, checkpoint.name, revision=checkpoint.revision)
    merged.merge_and_unload().save_pretrained(folder)
    _processor(base).save_pretrained(folder)
