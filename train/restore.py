"""Take a network out of what a run left, to train it further or to let it teach another.

A folder for the hub holds the float weights. A bundle keeps its weights in 8 bits, the word embeddings in 4: what comes
back is as near to the float network as those are, and equal to what the bundle itself computes but for how activations
round.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from ruthan.model.bundle import INFO, MODEL, TOKENIZER, file_digest, read_bundle
from ruthan.taxonomy import default_taxonomy
from train.backbone import SPECIAL_NAMES
from train.errors import BackboneError, ConfigError
from train.export import block_dequantize
from train.hub import HEAD as HUB_HEAD
from train.hub import is_hub_folder, read_hub_folder
from train.network import MessageClassifier

HEAD = "network.head.weight"

Floats = npt.NDArray[np.float32]


def restore(folder: Path, dropout: float = 0.0) -> tuple[MessageClassifier, PreTrainedTokenizerBase]:
    """The network of a bundle, or of a folder for the hub, in float32 and evaluation mode, and its tokenizer.

    :raises BundleError: the bundle is damaged or made for another version.
    :raises BackboneError: its network is no BERT as `train.export` writes one.
    :raises ConfigError: its classes are not those of the taxonomy, in that order.
    """
    if is_hub_folder(folder):
        network, tokenizer = read_hub_folder(folder, dropout)
        _check_classes(folder, tuple(network.encoder.config.id2label.values()))
        return network, tokenizer
    bundle = read_bundle(folder)
    _check_classes(folder, bundle.info.labels)
    kind = bundle.info.training.get("architecture", "bert")
    if kind != "bert":  # others of the family have the same tensors and other positions
        raise BackboneError(f"{folder} is a {kind}, which comes out of a folder for the hub only; give runs/<name>/hub")
    weights = _Weights(onnx.load(str(folder / MODEL)), folder)
    state = weights.state()
    feed_forward, hidden = state["encoder.encoder.layer.0.intermediate.dense.weight"].shape
    config = BertConfig(
        vocab_size=len(state["encoder.embeddings.word_embeddings.weight"]),
        hidden_size=hidden,
        num_hidden_layers=weights.layers,
        num_attention_heads=weights.heads,
        intermediate_size=feed_forward,
        max_position_embeddings=len(state["encoder.embeddings.position_embeddings.weight"]),
        type_vocab_size=len(state["encoder.embeddings.token_type_embeddings.weight"]),
        layer_norm_eps=weights.layer_norm_eps,
        pad_token_id=1,
        attn_implementation="eager",
    )
    encoder = BertModel(config, add_pooling_layer=False)
    network = MessageClassifier(encoder, len(bundle.info.labels), dropout)
    tensors = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in state.items()}
    network.load_state_dict(tensors)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(folder / TOKENIZER)),
        model_max_length=config.max_position_embeddings,
        **SPECIAL_NAMES,
    )
    return network.eval(), tokenizer


def _check_classes(folder: Path, theirs: tuple[str, ...]) -> None:
    if theirs != default_taxonomy().labels:
        raise ConfigError(f"{folder} tells other classes than ours: {', '.join(theirs)}; train it anew")


def model_identity(folder: Path) -> str:
    """Digests of the files that make a model what it is.

    :raises ConfigError: there is none in `folder`.
    """
    names = (HUB_HEAD, "model.safetensors", "tokenizer.json") if is_hub_folder(folder) else (INFO,)
    try:
        return " ".join(file_digest(folder / name) for name in names)
    except OSError as error:
        raise ConfigError(f"no model at {folder}: {error.strerror}; train it first, see train/configs/") from error


class _Weights:
    """The tensors of an exported network under the names that they had before."""

    def __init__(self, model: onnx.ModelProto, folder: Path) -> None:
        self._tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self._nodes = model.graph.node
        attention = self._of("QAttention")
        norms = self._of("LayerNormalization")
        if not attention or not norms:
            raise BackboneError(f"{folder} holds no BERT in 8 bits; give runs/<name>/bundle or runs/<name>/hub")
        self.layers = len(attention)
        self.heads = next(each.i for each in attention[0].attribute if each.name == "num_heads")
        self.layer_norm_eps = next(each.f for each in norms[0].attribute if each.name == "epsilon")

    def _of(self, *kinds: str) -> list[onnx.NodeProto]:
        return [node for node in self._nodes if node.op_type in kinds]

    def state(self) -> dict[str, Floats]:
        """What `MessageClassifier.load_state_dict` takes."""
        state = {
            name.removeprefix("network.").removesuffix("_f16"): value.astype(np.float32)
            for name, value in self._tensors.items()
            if name.startswith("network.") and "_Transposed" not in name
        }
        state["head.weight"] = self._column_scaled(
            next(each for each in self._tensors if each.startswith(HEAD) and each.endswith("_quantized"))
        ).T
        codes, scales = self._tensors["embeddings"], self._tensors["embedding_scales_f16"]
        bits = next(each.i for each in self._of("GatherBlockQuantized")[0].attribute if each.name == "bits")
        if bits == 4:
            codes = np.stack([codes & 15, codes >> 4], axis=-1).reshape(len(codes), -1)
        state["encoder.embeddings.word_embeddings.weight"] = block_dequantize(codes, scales, bits)
        products = iter(self._of("MatMulInteger", "MatMulNBits"))
        for layer, node in enumerate(self._of("QAttention")):
            prefix = f"encoder.encoder.layer.{layer}"
            merged, bias = self._column_scaled(node.input[1]), self._tensors[node.input[2]]
            for part, weight, offset in zip(
                ("query", "key", "value"), np.split(merged, 3, axis=1), np.split(bias, 3), strict=True
            ):
                state[f"{prefix}.attention.self.{part}.weight"] = weight.T
                state[f"{prefix}.attention.self.{part}.bias"] = offset
            for part in ("attention.output", "intermediate", "output"):
                state[f"{prefix}.{part}.dense.weight"] = self._product(next(products))
        return state

    def _product(self, node: onnx.NodeProto) -> Floats:
        """The weights, (out, in), of a matrix product in 8 bits."""
        if node.op_type == "MatMulInteger":
            return self._column_scaled(node.input[1]).T
        codes = self._tensors[node.input[1]].astype(np.float32) - 128
        outputs, blocks, _ = codes.shape
        scales = (
            self._tensors[f"{node.input[2]}_f16"]
            if f"{node.input[2]}_f16" in self._tensors
            else self._tensors[node.input[2]]
        )
        weights: Floats = (codes * scales.reshape(outputs, blocks, 1).astype(np.float32)).reshape(outputs, -1)
        return weights

    def _column_scaled(self, quantized: str) -> Floats:
        """The weights, (in, out), that are stored with a scale for each column."""
        name = quantized.removesuffix("_quantized")
        codes = self._tensors[quantized].astype(np.float32) - self._tensors[f"{name}_zero_point"].astype(np.float32)
        weights: Floats = codes * self._tensors[f"{name}_scale"]
        return weights
