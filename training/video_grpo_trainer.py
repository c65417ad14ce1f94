"""TRL's GRPO for models that see and hear.

TRL 1.16 hands images alone to the loss. Given a video, it generates with it, then scores the completions without it, and
trains without an error. Here every forward pass (policy, old policy, reference) gets the tensors that generation got, and
each distinct clip of a batch is decoded and processed once. Where `shared_prompt` serves the model, each distinct prompt of
a micro-batch is also encoded once.
"""

import json
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import ExitStack
from contextlib import nullcontext
from typing import Any

import torch
from accelerate.utils import DistributedType
from accelerate.utils import is_peft_model
from torch import Tensor
from trl import GRPOTrainer
from trl.trainer.utils import split_tensor_dict

from .media import PER_TOKEN
from .media import MediaEncoder
from .media import Messages
from .media import collate
from .media import media_token_ids
from .options import Sharing
from .shared_prompt import LARGE
from .shared_prompt import attention_of
from .shared_prompt import decide
from .shared_prompt import shared_prefill
from .shared_prompt import shuffled_by_group
from .video_trainer import RunFiles
from .video_trainer import VideoTrainerMixin
from .vllm_video import VideoLLM
from .vllm_video import VideoPrompt
from .vllm_video import check_vllm

MEDIA = "media"  # the column of a batch that holds each sample's own tensors

Observer = Callable[..., None]
"""Called with prompts, completions and the columns of the data set, after each generation."""


class VideoGRPOTrainer(VideoTrainerMixin, GRPOTrainer):
    """`trl.GRPOTrainer` whose prompts hold a video each.

    Args:
        model: the policy, or its path.
        encoder: turns prompts into tensors; its processor is the trainer's.
        run_files: writes report and card at each checkpoint and before each upload; None for TRL's own card.
        observer: is shown each batch of completions; None for nobody.
        shared_prompt: whether the completions of a prompt share it; ``sharing`` tells what came of it.
        options: all else of `trl.GRPOTrainer`.

    Raises:
        VLLMMissingError: ``use_vllm`` is asked for where vLLM is not installed.
        ValueError: ``use_vllm`` is asked for in another mode than ``colocate``, or ``shared_prompt`` is none of its choices.
    """

    def __init__(
        self,
        model: Any,
        encoder: MediaEncoder,
        run_files: RunFiles | None = None,
        observer: Observer | None = None,
        shared_prompt: Sharing = "auto",
        **options: Any,
    ) -> None:
        self.encoder = encoder
        self.run_files = run_files
        self._observer = observer
        # TRL calls the forward pass from places that cannot be told of media: they lie here for the rows at hand.
        self._rows: list[Mapping[str, Tensor]] = []
        self._prompts: Sequence[Messages] = ()
        self._until_step_ends = ExitStack()
        self._buffered_inputs: list[dict[str, Any]] | None = None
        if options["args"].use_vllm:
            check_vllm(options["args"].vllm_mode)
        if options["args"].distributed_state.distributed_type == DistributedType.FSDP:
            # TRL would spread the reference over the devices of this machine.
            options["args"].model_init_kwargs = {**(options["args"].model_init_kwargs or {}), "device_map": None}
        super().__init__(model=model, processing_class=encoder.processor, **options)
        own = self._base(self.model)
        if self.is_fsdp_enabled:
            # `generate` asks for it, and nobody sets it for FSDP 2: who ends early must go on beside the others.
            own._is_fsdp_managed_module = True
        placeholders = media_token_ids(own.config)
        if self.use_vllm:
            self.vllm_generation.llm = VideoLLM(self.vllm_generation.llm)
            given = self.vllm_generation.generation_kwargs or {}
            self.vllm_generation.generation_kwargs = {**given, "logit_bias": dict.fromkeys(placeholders, -100.0)}
        else:
            self.generation_kwargs["suppress_tokens"] = placeholders
            self.generation_config.suppress_tokens = placeholders
        generation = None if self.use_vllm else self.generation_config
        policy = self.accelerator.unwrap_model(self.model)
        self.sharing = decide(shared_prompt, policy, self.accelerator, self.args, generation, encoder.flags)

    def _base(self, model: Any) -> Any:
        """The model itself, without the wrappers of accelerate and PEFT."""
        own = self.accelerator.unwrap_model(model)
        return own.get_base_model() if is_peft_model(own) else own

    # --- generation ---------------------------------------------------------------------------------------------------

    def _tokenize_prompts(self, prompts: Sequence[Any]) -> tuple[list[list[int]], Any, dict[str, Any]]:
        """Token ids of each prompt, and the batch's media as `generate` takes them."""
        keys = [json.dumps(prompt, sort_keys=True) for prompt in prompts]
        encoded = {key: self.encoder.encode(prompt) for key, prompt in dict(zip(keys, prompts, strict=True)).items()}
        self._rows, self._prompts = [encoded[key] for key in keys], prompts
        ids = [row["input_ids"][0].tolist() for row in self._rows]
        left_out = LARGE if self.sharing.prefill else ()  # `shared_prefill` gives them, once a prompt
        told = [{name: value for name, value in row.items() if name not in left_out} for row in self._rows]
        fields: dict[str, Any] = collate(told, max(map(len, ids)), 0, self.accelerator.device)
        # As lists, so that TRL pads them as it pads the prompts.
        fields |= {name: [row[name][0].tolist() for row in self._rows] for name in PER_TOKEN if name in fields}
        return ids, None, fields | self.encoder.flags

    def _generate_single_turn(self, prompt_ids: Any, images: Any, *arguments: Any, **options: Any) -> Any:
        if self.use_vllm:  # TRL passes what it calls images on to vLLM as they are
            images = [
                [VideoPrompt(tuple(self.encoder.short_ids(prompt)), self.encoder.clip(prompt))] for prompt in self._prompts
            ]
        shares = self.sharing.prefill
        with shared_prefill(self._base(self.model), self._rows) if shares else nullcontext():
            return super()._generate_single_turn(prompt_ids, images, *arguments, **options)

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        output[MEDIA] = self._rows  # a list: TRL shuffles and splits it like any other column
        return output

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Tensor:
        rewards: Tensor = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        if self._observer is not None:
            columns = {name: [row[name] for row in inputs] for name in inputs[0] if name not in ("prompt", "completion")}
            self._observer(prompts=prompts, completions=completions, **columns)
        return rewards

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        """As TRL's, but the completions of a prompt are shuffled together: a micro-batch can share what it holds alone."""
        if self.sharing.scorer is None or not self.model.training:
            plain: dict[str, Any] = super()._prepare_inputs(generation_batch)
            return plain
        parts = self.args.steps_per_generation
        if self._step % (parts * self.num_iterations) == 0 or self._buffered_inputs is None:
            batch = self._generate_and_score_completions(generation_batch)
            self._buffered_inputs = split_tensor_dict(shuffled_by_group(batch, batch[MEDIA]), parts)
        inputs: dict[str, Any] = self._buffered_inputs[self._step % parts]
        return inputs

    # --- loss ---------------------------------------------------------------------------------------------------------

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        self._rows = inputs[MEDIA]
        loss: Tensor = super()._compute_loss(model, inputs)
        return loss

    def training_step(self, *arguments: Any, **options: Any) -> Tensor:
        """A micro-batch, forwards and backwards."""
        with self._until_step_ends:
            loss: Tensor = super().training_step(*arguments, **options)
        return loss

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int, *arguments: Any, **options: Any
    ) -> Any:
        rows = iter(self._rows)  # TRL walks the batch in order, perhaps in chunks
        scorer = self.sharing.scorer
        base = None if scorer is None else self._base(model)

        def model_with_media(**inputs: Any) -> Any:
            count, width = inputs["input_ids"].shape
            own = [next(rows) for _ in range(count)]
            if scorer is not None:
                return scorer.score(model, base, own, inputs, logits_to_keep)
            media = collate(own, width - logits_to_keep, logits_to_keep, inputs["input_ids"].device)
            return model(**inputs, **media, **self.encoder.flags)

        with ExitStack() as now:
            if scorer is not None:
                # Layers whose activations are checkpointed run again in the backward pass.
                (self._until_step_ends if torch.is_grad_enabled() else now).enter_context(attention_of(base))
            return super()._get_per_token_logps_and_entropies(
                model_with_media, input_ids, attention_mask, logits_to_keep, *arguments, **options
            )
