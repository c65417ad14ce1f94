"""A GRPO step that pays for each prompt once.

TRL gives every completion a row of its own, so a group of G completions encodes its prompt, video and sound G times in every
forward pass. Here all groups of a micro-batch stand behind each other in one row without padding, each of them as::

    prompt[:-1]   prompt[-1] c1[:-1]   prompt[-1] c2[:-1]   ...

The tokens of completion i predict c_i. They see the prompt and their own past alone, and their positions go on from the
prompt's last one, so each is scored as if it were alone: P + G C tokens instead of G (P + C).

It is one forward pass a micro-batch, as TRL's own, however many prompts there are, so processes that share weights (ZeRO-3,
FSDP) stay in step. `SharedPrompt.score` is the entry; `shared_prefill` does the same for the prompts of a generation.
"""

import logging
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from itertools import pairwise
from typing import Any
from typing import Final
from typing import get_args

import torch
from accelerate.utils import DynamoBackend
from torch import Tensor
from torch.nn.functional import pad
from transformers import AttentionInterface
from transformers import AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from .media import PER_TOKEN
from .media import Family
from .media import MediaError
from .media import collate
from .media import family_of
from .options import Sharing

ATTENTION: Final = "shared_prompt"
"""The name that transformers knows the attention by."""
SERVED: Final = "sdpa"
UNSCORED: Final = -100
LARGE: Final = ("pixel_values_videos", "input_features")
"""What encoders are given of a prompt; all else of its tensors is small."""
USUAL: Final[Mapping[str, object]] = {
    "cache_implementation": "dynamic",
    "num_beams": 1,
    "num_return_sequences": 1,
    "prefill_chunk_size": None,
    "use_cache": True,
}
"""How answers are generated where `shared_prefill` serves."""
Sample = Mapping[str, Tensor]
_LOG = logging.getLogger(__name__)


# --- groups -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """Completions of one prompt: ``rows`` are their places in a batch, ``sample`` the prompt, of `MediaEncoder.encode`."""

    sample: Sample
    rows: tuple[int, ...]


def groups_of(samples: Sequence[Sample]) -> list[Group]:
    """The groups in a batch, in the order of their first rows; rows belong together if they hold the very same tensors."""
    found: dict[tuple[int, ...], list[int]] = {}
    for row, sample in enumerate(samples):
        found.setdefault(tuple(map(id, sample.values())), []).append(row)
    return [Group(samples[rows[0]], tuple(rows)) for rows in found.values()]


def shuffled_by_group(batch: Mapping[str, Any], samples: Sequence[Sample]) -> dict[str, Any]:
    """The rows of a generation batch in a random order in which completions of a prompt stay together.

    It takes as much randomness as TRL's own shuffle, which spreads a group over all micro-batches.

    Args:
        batch: columns, tensors or lists of ``len(samples)`` rows; what has no rows is left as it is.
        samples: the prompt of each row.
    """
    group_of = {row: number for number, group in enumerate(groups_of(samples)) for row in group.rows}
    places: dict[int, int] = {}
    for row in torch.randperm(len(samples)).tolist():
        places.setdefault(group_of[row], len(places))
    order = sorted(range(len(samples)), key=lambda row: places[group_of[row]])
    return {name: _reordered(column, order) for name, column in batch.items()}


def _reordered(column: Any, order: list[int]) -> Any:
    if isinstance(column, Tensor):
        return column[order] if column.ndim else column
    return column if column is None else [column[row] for row in order]


# --- attention --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """Where a group stands in the row.

    Attributes:
        start: of its prompt.
        own: where its completions begin.
        end: of its completions.
        mask: what they see, added to attention scores: 0 or -inf, shape (1, 1, end - own, end - start).
    """

    start: int
    own: int
    end: int
    mask: Tensor


@dataclass(frozen=True, slots=True)
class RowMask:
    """What every token of a row of groups sees. It travels where models pass a mask on, and none but `attend` reads it."""

    spans: tuple[Span, ...]


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any, **options: Any
) -> tuple[Tensor, None]:
    """Attention of a row of groups: PyTorch's own twice a group, plainly causal over the prompt, masked over completions.

    Args:
        module: the layer's attention.
        query: shape (1, heads, length, width), as ``key`` and ``value`` with their own number of heads.
        key: as above.
        value: as above.
        attention_mask: a `RowMask`; with anything else this is transformers' ``sdpa``.
        options: of transformers' ``sdpa``.

    Returns:
        Shape (1, length, heads, width), and no weights.
    """
    if not isinstance(attention_mask, RowMask):
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    parts = []
    for span in attention_mask.spans:
        for first, last, mask in ((span.start, span.own, None), (span.own, span.end, _mask_for(query, span.mask))):
            if first < last:
                seen = slice(span.start, last)
                own = query[:, :, first:last], key[:, :, seen], value[:, :, seen]
                parts.append(sdpa_attention_forward(module, *own, mask, **options)[0])
    return torch.cat(parts, 1), None


def _mask_for(query: Tensor, mask: Tensor) -> Tensor:
    """The mask where the queries are, and of their type; autocast sees to types by itself, once for all layers."""
    dtype = mask.dtype if torch.is_autocast_enabled(query.device.type) else query.dtype
    return mask.to(query.device, dtype)


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


@contextmanager
def attention_of(base: Any) -> Iterator[None]:
    """The language model of ``base`` attends by `attend` while this lasts; encoders go on as they were."""
    before = base.config.text_config._attn_implementation
    base.set_attn_implementation({"text_config": ATTENTION})
    try:
        yield
    finally:
        base.set_attn_implementation({"text_config": before})


def completion_mask(shared: int, lengths: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """What completions see: the prompt, and each its own past.

    Args:
        shared: tokens of the prompt before them.
        lengths: of the completions.
        dtype: of the mask.
        device: of the mask.

    Returns:
        0 or -inf, shape (1, 1, sum of lengths, shared + sum of lengths).
    """
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=device), torch.tensor(lengths, device=device))
    own = (owner[:, None] == owner).tril()
    hidden = torch.zeros(own.shape, dtype=dtype, device=device).masked_fill(~own, -torch.inf)
    return pad(hidden, (shared, 0))[None, None]


# --- positions --------------------------------------------------------------------------------------------------------


def _vl_positions(base: Any, sample: Sample) -> Tensor:
    positions: Tensor = base.model.get_rope_index(
        sample["input_ids"],
        mm_token_type_ids=sample["mm_token_type_ids"],
        video_grid_thw=sample["video_grid_thw"],
        second_per_grid_ts=sample.get("second_per_grid_ts"),
    )[0]
    return positions


def _omni_positions(base: Any, sample: Sample) -> Tensor:
    sound = sample.get("feature_attention_mask")
    positions: Tensor = base.model.get_rope_index(
        sample["input_ids"],
        video_grid_thw=sample["video_grid_thw"],
        attention_mask=sample["attention_mask"],
        use_audio_in_video=sound is not None,
        audio_seqlens=None if sound is None else sound.sum(1),
        second_per_grids=sample.get("video_second_per_grid"),
    )[0]
    return positions


PROMPT_POSITIONS: dict[Family, Callable[[Any, Sample], Tensor]] = {"vl": _vl_positions, "omni": _omni_positions}
"""Of each family, what gives the positions of a prompt (3, 1, P): a model's own function, asked as its forward asks it."""


def row_positions(prompt: Tensor, lengths: Sequence[int]) -> Tensor:
    """Positions of a group: those of the prompt, and each completion goes on from the prompt's last one.

    Args:
        prompt: positions of the whole prompt, shape (3, 1, P).
        lengths: of the completions.

    Returns:
        Shape (3, 1, P - 1 + sum of lengths).
    """
    last = prompt[..., -1:]
    return torch.cat([prompt[..., :-1], *(last + torch.arange(length, device=prompt.device) for length in lengths)], -1)


# --- the row ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """Groups of a micro-batch as one row.

    Attributes:
        input_ids: shape (1, length).
        labels: the token that each predicts, -100 where none is scored; shape (1, length).
        positions: shape (3, 1, length).
        mask: what each token sees.
        places: where each completion stands, its first token and the one after its last, by its place in the micro-batch.
    """

    input_ids: Tensor
    labels: Tensor
    positions: Tensor
    mask: RowMask
    places: Mapping[int, tuple[int, int]]

    def by_completion(self, values: Tensor, width: int) -> Tensor:
        """Values of the row's tokens (1, length) as TRL has them: a line a completion, zeros behind it, (batch, width)."""
        ends = (self.places[number] for number in range(len(self.places)))
        return torch.stack([pad(values[0, first:end], (0, width - (end - first))) for first, end in ends])


def row_of_group(group: Group, positions: Tensor, completions: Sequence[Tensor], start: int, dtype: torch.dtype) -> Row:
    """One group, to stand in a row from ``start`` on.

    Args:
        group: of the micro-batch.
        positions: of its prompt, shape (3, 1, P).
        completions: token ids of each of its rows, without padding; they may be empty.
        start: tokens of the row before it.
        dtype: of the mask.
    """
    device = completions[0].device
    prompt, lengths = group.sample["input_ids"][0].to(device), [len(completion) for completion in completions]
    behind = start + len(prompt) - 1
    edges = list(accumulate(lengths, initial=behind))
    mask = completion_mask(behind - start, lengths, dtype, device)
    return Row(
        input_ids=torch.cat([prompt[:-1], *(torch.cat([prompt[-1:], completion])[:-1] for completion in completions)])[None],
        labels=torch.cat([torch.full_like(prompt[:-1], UNSCORED), *completions])[None],
        positions=row_positions(positions.to(device), lengths),
        mask=RowMask((Span(start, behind, edges[-1], mask),)),
        places=dict(zip(group.rows, pairwise(edges), strict=True)),
    )


def row_of(groups: Sequence[Group], positions: Sequence[Tensor], completions: Sequence[Tensor], dtype: torch.dtype) -> Row:
    """All groups of a micro-batch behind each other.

    Args:
        groups: of the micro-batch.
        positions: of the prompt of each group, shape (3, 1, P).
        completions: token ids of each row of the micro-batch, without padding; they may be empty.
        dtype: of the masks.
    """
    rows: list[Row] = []
    for group, own in zip(groups, positions, strict=True):
        start = sum(row.input_ids.size(1) for row in rows)
        rows.append(row_of_group(group, own, [completions[row] for row in group.rows], start, dtype))
    return Row(
        input_ids=torch.cat([row.input_ids for row in rows], 1),
        labels=torch.cat([row.labels for row in rows], 1),
        positions=torch.cat([row.positions for row in rows], -1),
        mask=RowMask(tuple(span for row in rows for span in row.mask.spans)),
        places={number: place for row in rows for number, place in row.places.items()},
    )


# --- scoring ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scores:
    """What TRL reads of a forward pass, shape (batch, width); ``entropy`` is None where its model computes none."""

    log_probs: Tensor
    entropy: Tensor | None


@dataclass(frozen=True, slots=True)
class SharedPrompt:
    """Scores completions with each prompt encoded once.

    Attributes:
        family: of the model.
        flags: what its forward passes need beside tensors, `MediaEncoder.flags`.
    """

    family: Family
    flags: Mapping[str, Any]

    def score(self, model: Any, base: Any, samples: Sequence[Sample], inputs: Mapping[str, Tensor], width: int) -> Scores:
        """One forward pass over a micro-batch; to be called within `attention_of`.

        Args:
            model: policy or reference, wrapped or not, with TRL's fused head.
            base: the model itself, without the wrappers of accelerate and PEFT.
            samples: the prompt of each row.
            inputs: ``input_ids`` and ``attention_mask`` as TRL makes them: prompts padded on the left, completions on the
                right, shape (batch, prompts + width).
            width: of the completions.
        """
        groups = groups_of(samples)
        row = self._row(base, groups, inputs["input_ids"][:, -width:], inputs["attention_mask"][:, -width:])
        media = collate([_without_lengths(group.sample) for group in groups], 0, 0, row.input_ids.device)
        output = model(
            input_ids=row.input_ids,
            position_ids=row.positions,
            attention_mask={"full_attention": row.mask},  # a model that is given a dict makes no mask of its own
            shift_labels=row.labels,
            fused_lm_head=True,
            **media,
            **self.flags,
        )
        entropy = None if output.entropy is None else row.by_completion(output.entropy, width)
        return Scores(row.by_completion(output.log_probs, width), entropy)

    def _row(self, base: Any, groups: Sequence[Group], ids: Tensor, mask: Tensor) -> Row:
        completions = [own[:length] for own, length in zip(ids, mask.sum(1).tolist(), strict=True)]
        positions = [PROMPT_POSITIONS[self.family](base, group.sample) for group in groups]
        return row_of(groups, positions, completions, _computed_in(base, ids.device.type))


def _without_lengths(sample: Sample) -> Sample:
    """A prompt without what has a value a token: it serves for positions alone, which are given."""
    return {name: value for name, value in sample.items() if name not in PER_TOKEN}


def _computed_in(base: Any, device: str) -> torch.dtype:
    """The type that attention is computed in: a mask of another would be converted in every layer."""
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    dtype: torch.dtype = base.dtype
    return dtype


# --- where it serves --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decision:
    """What a trainer shares.

    Attributes:
        scorer: of completions; None where all goes the plain way.
        prefill: whether generation encodes each prompt once as well.
        told: one line that says so, and why not.
    """

    scorer: SharedPrompt | None
    prefill: bool
    told: str


def decide(wanted: Sharing, model: Any, accelerator: Any, args: Any, generation: Any, flags: Mapping[str, Any]) -> Decision:
    """Whether prompts are shared, told once in the log where they are not although they should be.

    Args:
        wanted: ``auto`` and ``on``: where the model and the settings allow it; ``off``: nowhere.
        model: the policy, with or without an adapter.
        accelerator: an `accelerate.Accelerator`: its launcher may compile the model or spread rows, too.
        args: a `trl.GRPOConfig`.
        generation: the `transformers.GenerationConfig` of the trainer; None where something else generates.
        flags: of the encoder.

    Raises:
        ValueError: ``wanted`` is none of the choices.
    """
    if wanted not in get_args(Sharing):
        raise ValueError(f"shared_prompt is {wanted!r}; it must be one of {', '.join(get_args(Sharing))}")
    if wanted == "off":
        return Decision(None, False, "off, as asked")
    reason = reason_against(model) or _reason_of_settings(accelerator, args)
    if reason is not None:
        again = "every completion encodes its prompt again, and holds it in memory again"
        return _logged(Decision(None, False, f"off, because {reason}: {again}"), args)
    against_prefill = reason_against_prefill(args, generation)
    in_generation = f"not in generation, because {against_prefill}" if against_prefill else None
    limits = [limit for limit in (in_generation, _limit_of_micro_batches(args)) if limit]
    told = f"on, but {', and '.join(limits)}" if limits else "on"
    decision = Decision(SharedPrompt(family_of(model.config), flags), against_prefill is None, told)
    return _logged(decision, args) if limits else decision


def _logged(decision: Decision, args: Any) -> Decision:
    if args.process_index == 0:
        _LOG.warning("shared_prompt: %s", decision.told)
    return decision


def reason_against(model: Any) -> str | None:
    """Why prompts cannot be shared in forward passes of this model; None where they can."""
    text, adapters = model.config.get_text_config(), getattr(model, "peft_config", {}).values()
    try:
        family_of(model.config)
    except MediaError:
        return f"the positions of a {model.config.model_type!r} are not known here"
    if text._attn_implementation != SERVED:
        return f"attn_implementation is {text._attn_implementation!r}, and rows of groups are attended to by {SERVED!r}"
    if set(text.layer_types) != {"full_attention"}:
        return "the model has layers with sliding windows"
    if any(adapter.is_prompt_learning for adapter in adapters):
        return "the adapter puts tokens of its own before each prompt"
    if any(getattr(adapter, "alora_invocation_tokens", None) for adapter in adapters):
        return "the adapter looks for its invocation once in each row"
    return None


def _reason_of_settings(accelerator: Any, args: Any) -> str | None:
    if args.torch_compile or accelerator.state.dynamo_plugin.backend != DynamoBackend.NO:
        return "torch_compile is on, and rows of groups have a new shape each time"
    parallel = accelerator.parallelism_config
    if parallel is not None and (parallel.cp_enabled or parallel.sp_enabled):
        return "parallelism_config spreads each row over several devices"
    return None


def _limit_of_micro_batches(args: Any) -> str | None:
    rows, group = args.per_device_train_batch_size, args.num_generations
    if rows % group == 0:
        return None
    return f"only within micro-batches of {rows}, which split groups of {group}: make per_device_train_batch_size a multiple"


def reason_against_prefill(args: Any, generation: Any) -> str | None:
    """Why the prompts of a generation cannot be shared; None where they can."""
    if args.use_vllm:
        return "vLLM generates"
    odd = [f"{name} {own!r}" for name, usual in USUAL.items() if (own := getattr(generation, name)) not in (None, usual)]
    return f"generation is asked for {', '.join(odd)}" if odd else None


# --- generation -------------------------------------------------------------------------------------------------------


@contextmanager
def shared_prefill(base: Any, samples: Sequence[Sample]) -> Iterator[None]:
    """`base.generate` encodes each distinct prompt of its batch once while this lasts, and then goes on as it would.

    What follows the first forward pass is transformers' own: the same cache, padding, positions and random numbers. So
    greedy answers, and sampled ones from one seed, are the same tokens as without it, as far as the first forward pass does
    not round differently in a smaller batch.

    Args:
        base: the model itself, without the wrappers of accelerate and PEFT.
        samples: the prompt of each row that it is to generate from. `LARGE` fields need not be given to `generate`.

    Raises:
        MediaError: `generate` is called for other rows: of another number, or not alike where their prompts are.
    """
    plain = base._prefill
    groups = groups_of(samples)
    first = [group.rows[0] for group in groups]
    group_of = {row: number for number, group in enumerate(groups) for row in group.rows}

    def prefill(input_ids: Tensor, config: Any, given: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        if len(input_ids) != len(samples):
            raise MediaError(f"{len(input_ids)} rows are generated from {len(samples)} prompts: set shared_prompt to off")
        index = torch.tensor([group_of[row] for row in range(len(input_ids))], device=input_ids.device)
        if not torch.equal(input_ids, input_ids[first][index]):
            raise MediaError("rows of one prompt are generated from different tokens: set shared_prompt to off")
        media = collate([group.sample for group in groups], input_ids.size(1), 0, input_ids.device)
        mask = given["attention_mask"]  # None where nothing is padded
        rows = {"attention_mask": mask if mask is None else mask[first], "position_ids": given["position_ids"][:, first]}
        # `generate` has encoded what it was given: nothing
        own = {**given, **media, **rows, "mm_encoder_outputs": None}
        with _last_logits_only(base):
            output = plain(input_ids[first], config, own, *arguments, **options)
        output.past_key_values.batch_select_indices(index)
        output.logits = output.logits[index]
        return output

    base._prefill = prefill
    try:
        yield
    finally:
        del base._prefill


@contextmanager
def _last_logits_only(base: Any) -> Iterator[None]:
    """The head is given the last token of each row alone while this lasts: `generate` reads no other.

    Qwen2.5-Omni's thinker takes no ``logits_to_keep``, and logits of a long prompt would be gigabytes, G times.
    """
    hook = base.get_output_embeddings().register_forward_pre_hook(lambda _, hidden: (hidden[0][:, -1:],))
    try:
        yield
    finally:
        hook.remove()
