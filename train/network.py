"""The network: any `transformers` encoder, the mean over its tokens standardised, and one linear layer."""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from train.errors import BackboneError


def mean_over_tokens(states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """(batch, tokens, hidden) to (batch, hidden), padding left out."""
    weights = attention_mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)


class MessageClassifier(nn.Module):
    """Token ids in, one logit per class out.

    The mean over tokens and not a pooled first token: with a pooler that starts at random the backbone of our
    size learned far worse.
    """

    def __init__(self, encoder: PreTrainedModel, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder = encoder
        # The means of all texts have a large part in common, and little spread around it: standardised, the linear
        # layer sees what differs. Set from the training texts before training, and kept.
        self.feature_mean: torch.Tensor
        self.feature_scale: torch.Tensor
        self.register_buffer("feature_mean", torch.zeros(encoder.config.hidden_size))
        self.register_buffer("feature_scale", torch.ones(encoder.config.hidden_size))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, classes)

    def features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The mean over the tokens of each text, (batch, hidden), not yet standardised."""
        return mean_over_tokens(self.states(input_ids, attention_mask), attention_mask)

    def states(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """What the encoder makes of each token, (batch, tokens, hidden)."""
        states: torch.Tensor = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states

    def standardised(self, features: torch.Tensor) -> torch.Tensor:
        """`features` with the mean of the training texts taken away, in units of their spread."""
        return (features - self.feature_mean) / self.feature_scale

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, hidden) as `features` returns it to (batch, classes)."""
        logits: torch.Tensor = self.head(self.dropout(self.standardised(features)))
        return logits

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """`input_ids`, `attention_mask`: (batch, tokens); `logits`: (batch, classes); `features`: (batch, hidden),
        standardised.
        """
        features = self.features(input_ids, attention_mask)
        return {"logits": self.logits(features), "features": self.standardised(features)}

    def contributions(self, states: torch.Tensor) -> torch.Tensor:
        """What each token adds to the sum that becomes each class's logit: (batch, tokens, hidden) to (batch, tokens,
        classes). The logits are the mean of these over the tokens of a text, plus a constant for each class.
        """
        return nn.functional.linear(states / self.feature_scale, self.head.weight)


def set_dropout(encoder: nn.Module, share: float) -> None:
    """Set every dropout of an encoder, that of attention too, to `share`, 0 up to 1."""
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = share
        for name in ("attention_dropout", "dropout_prob"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, share)


def round_activations(encoder: nn.Module) -> list[RemovableHandle]:
    """From now on, what enters a linear layer of the encoder's layers is rounded to 8 bits, as the exported network's
    `DynamicQuantizeLinear` rounds it; gradients pass unchanged (straight-through). `remove()` the handles to end it.
    """
    return [
        module.register_forward_pre_hook(lambda _, inputs: (_rounded(inputs[0]), *inputs[1:]))
        for module in _layer_stack(encoder).modules()
        if isinstance(module, nn.Linear)
    ]


def _rounded(values: torch.Tensor) -> torch.Tensor:
    low, high = values.detach().min().clamp(max=0), values.detach().max().clamp(min=0)
    scale = ((high - low) / 255).clamp(min=1e-8).float()
    zero_point = (-low / scale).round().clamp(0, 255).int()
    rounded: torch.Tensor = torch.fake_quantize_per_tensor_affine(values.float(), scale, zero_point, 0, 255)
    return rounded.to(values.dtype)


def load_backbone(source: str | Path, layers: int | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The encoder and the fast tokenizer of a local folder or a hub id.

    Attention is written out ("eager"), which is what the ONNX exporter and its fusions know. Code that comes with
    a checkpoint is never run.

    :raises BackboneError: nothing can be loaded from there, or its tokenizer has no fast form.
    """
    options: dict[str, Any] = {"attn_implementation": "eager", "trust_remote_code": False, "dtype": torch.float32}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)
        encoder = AutoModel.from_pretrained(source, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BackboneError(f"cannot load the backbone {source}: {reason}; give a folder or a hub id") from error
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # unused here, and mostly not part of the checkpoint
    if not getattr(tokenizer, "is_fast", False):
        raise BackboneError(f"the tokenizer of {source} has no fast form (tokenizer.json), which scanning needs")
    if layers is not None:
        keep_layers(encoder, layers)
    return encoder, tokenizer


def keep_layers(encoder: PreTrainedModel, count: int) -> None:
    """Keep `count` layers of an encoder: the first, the last, and others evenly between; of one, the first.

    :raises BackboneError: it has fewer.
    """
    stack = _layer_stack(encoder)
    if count > len(stack):
        raise BackboneError(f"the network to start from has {len(stack)} layers; layers: {count} is more")
    kept = {round(at * (len(stack) - 1) / max(1, count - 1)) for at in range(count)}
    for at in reversed(range(len(stack))):
        if at not in kept:
            del stack[at]
    encoder.config.num_hidden_layers = count


def _layer_stack(encoder: PreTrainedModel) -> nn.ModuleList:
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise BackboneError(f"{type(encoder).__name__} has no list of layers to cut")
    return max(lists, key=len)
