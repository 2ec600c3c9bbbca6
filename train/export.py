"""Turn a trained network into a bundle: ONNX, 8 bits, and a check that both say the same."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from transformers import PreTrainedTokenizerBase

from ruthan.model.bundle import CARD, INFO, MODEL, TOKENIZER, BundleInfo, file_digest
from ruthan.model.classifier import Prediction
from ruthan.taxonomy import default_taxonomy
from train.card import model_card
from train.errors import ExportError
from train.metrics import summary
from train.network import MessageClassifier, mean_over_tokens

OPSET = 17
MIN_HALVED = 4_000  # values; smaller float tables stay as they are
BLOCK = 32  # embedding weights that share a scale, as in the offline backbone's own file

Array = npt.NDArray[Any]


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what exporter and quantiser say of every network: that tracing fixes branches, that shapes are unknown.

    Whether the exported network is right is measured afterwards, see `measure_drift`.
    """
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


class _Outputs(torch.nn.Module):
    """The network with the plain outputs that the ONNX exporter wants: logits, and what each token adds to them."""

    def __init__(self, network: MessageClassifier) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.network.states(input_ids, attention_mask)
        logits = self.network.logits(mean_over_tokens(states, attention_mask))
        return logits, self.network.contributions(states)


def export_onnx(network: MessageClassifier, path: Path) -> None:
    """Write the network as float32 ONNX; inputs `input_ids` and `attention_mask`, outputs `logits` and
    `contributions`, see `MessageClassifier.contributions`. Who asks for the first only does not pay for the second.
    """
    ids = torch.full((2, 9), 5, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    torch.onnx.export(
        _Outputs(network).eval(),
        (ids, mask),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["logits", "contributions"],
        dynamic_axes={name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask", "contributions")}
        | {"logits": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )


def fuse(source: Path, target: Path, heads: int, hidden: int) -> None:
    """Fuse attention, normalisation and activation of BERT-like networks; others pass unchanged."""
    options = FusionOptions("bert")
    options.enable_embed_layer_norm = False  # its fused operator hides the word embeddings from `shrink_embeddings`
    fused = optimizer.optimize_model(
        str(source), "bert", num_heads=heads, hidden_size=hidden, optimization_options=options, opt_level=0
    )
    fused.save_model_to_file(str(target))


def quantize(source: Path, target: Path, fine: bool = True) -> None:
    """Store matrix weights in 8 bits and the word embeddings in 4 or 8 bits.

    Layers compute in 8 bits with one scale for all their input. Feed-forward layers of a network that was not trained
    for it read a few very large values, beside which one scale would drown the rest: `fine` gives them a scale for
    every 128 inputs of every token. That is slower and cuts the drift of the whole to a quarter, see
    docs/experiments.md. Weights with one scale keep to 7 bits, so that no sum of products overflows on processors
    without VNNI and the answer is the same on all.
    """
    feed_forward = _feed_forward_layers(onnx.load(str(source))) if fine else []
    quantize_dynamic(
        str(source),
        str(target),
        op_types_to_quantize=["MatMul", "Attention"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        nodes_to_exclude=feed_forward,
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
    model = onnx.load(str(target))
    if feed_forward:
        options = DefaultWeightOnlyQuantConfig(
            block_size=128, is_symmetric=True, accuracy_level=4, bits=8, op_types_to_quantize=("MatMul",)
        )
        blockwise = MatMulNBitsQuantizer(model, nodes_to_include=feed_forward, algo_config=options)
        blockwise.process()
        model = blockwise.model.model
    shrink_embeddings(model)
    halve_tables(model)
    onnx.save(model, str(target))


def _feed_forward_layers(model: onnx.ModelProto) -> list[str]:
    """The names of the matrix products that widen or narrow: those of feed-forward blocks."""
    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in shapes]
    return [node.name for node in products if shapes[node.input[1]][0] != shapes[node.input[1]][1]]


def block_quantize(table: Array, bits: int) -> tuple[Array, Array]:
    """Quantise float32 (rows, columns) in blocks of `BLOCK` weights along a row.

    A block's scale is its value of largest magnitude divided by -2^(bits-1), so that a table that was stored as Q4_0
    comes back without loss at 4 bits. Returns codes, uint8 of the table's shape, and scales, float16 of
    (rows, columns / BLOCK); weight = (code - 2^(bits-1)) * scale.
    """
    rows, columns = table.shape
    blocks = table.reshape(rows, columns // BLOCK, BLOCK)
    half = 2 ** (bits - 1)
    peak = np.take_along_axis(blocks, np.abs(blocks).argmax(-1)[..., None], -1)
    scales = (peak / -half).astype(np.float16)
    divisor = np.where(scales == 0, 1, scales).astype(np.float32)
    codes = np.clip(np.rint(blocks / divisor) + half, 0, 2 * half - 1).astype(np.uint8)
    return codes.reshape(rows, columns), scales[..., 0]


def block_dequantize(codes: Array, scales: Array, bits: int) -> Array:
    """The float32 table that `block_quantize` stored."""
    steps = codes.astype(np.float32) - 2 ** (bits - 1)
    table: Array = steps * np.repeat(scales.astype(np.float32), BLOCK, axis=1)
    return table


def shrink_embeddings(model: onnx.ModelProto) -> None:
    """Replace the largest embedding look-up by one on 4-bit blocks if that loses nothing, else on 8-bit blocks."""
    tables = {tensor.name: tensor for tensor in model.graph.initializer}
    lookups = [node for node in model.graph.node if node.op_type == "Gather" and node.input[0] in tables]
    lookups = [node for node in lookups if len(tables[node.input[0]].dims) == 2]
    if not lookups:
        raise ExportError("the exported network has no embedding look-up; this architecture cannot be exported yet")
    lookup = max(lookups, key=lambda node: int(np.prod(tables[node.input[0]].dims)))
    tensor = tables[lookup.input[0]]
    table = numpy_helper.to_array(tensor).astype(np.float32)
    if table.shape[1] % BLOCK:
        return
    bits = 4
    codes, scales = block_quantize(table, bits)
    if not np.allclose(block_dequantize(codes, scales, bits), table, atol=1e-6, rtol=1e-4):
        bits = 8
        codes, scales = block_quantize(table, bits)
    packed = codes if bits == 8 else codes[:, 0::2] | (codes[:, 1::2] << 4)
    model.graph.initializer.remove(tensor)
    model.graph.initializer.extend(
        [numpy_helper.from_array(packed, "embeddings"), numpy_helper.from_array(scales, "embedding_scales_f16")]
    )
    # Scales rest on disk in 16 bits and are widened when the session is built.
    widen = helper.make_node("Cast", ["embedding_scales_f16"], ["embedding_scales"], to=TensorProto.FLOAT)
    gather = helper.make_node(
        "GatherBlockQuantized",
        ["embeddings", lookup.input[1], "embedding_scales"],
        list(lookup.output),
        domain="com.microsoft",
        bits=bits,
        block_size=BLOCK,
        gather_axis=0,
        quantize_axis=1,
    )
    position = list(model.graph.node).index(lookup)
    model.graph.node.remove(lookup)
    model.graph.node.insert(position, gather)
    model.graph.node.insert(position, widen)
    if not any(opset.domain == "com.microsoft" for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def halve_tables(model: onnx.ModelProto) -> None:
    """Store what float32 tables are left (positions, block scales) in 16 bits, widened when the session is built."""
    for tensor in list(model.graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < MIN_HALVED:
            continue
        halved = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}_f16")
        model.graph.initializer.remove(tensor)
        model.graph.initializer.append(halved)
        model.graph.node.insert(0, helper.make_node("Cast", [halved.name], [tensor.name], to=TensorProto.FLOAT))


def write_model_files(
    network: MessageClassifier, tokenizer: PreTrainedTokenizerBase, folder: Path, float_folder: Path, fine: bool = True
) -> None:
    """Write `model.onnx` and `tokenizer.json` to both folders, 8 bits to the first and 32 to the second; see `quantize`
    for `fine`.
    """
    config: Any = network.encoder.config
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch, _quiet():
        raw = Path(scratch) / "raw.onnx"
        export_onnx(network, raw)
        fuse(raw, float_folder / MODEL, config.num_attention_heads, config.hidden_size)
        quantize(float_folder / MODEL, folder / MODEL, fine)
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.no_truncation()
    for each in (folder, float_folder):
        (each / TOKENIZER).write_text(backend.to_str(pretty=False), encoding="utf-8")


@dataclass(frozen=True)
class Drift:
    """How far the 8-bit bundle is from the float network on texts that neither was trained on.

    `largest` and `mean` are differences of a class probability; `f1_loss` is the float network's F1 on
    harmful/benign less the bundle's.
    """

    texts: int
    largest: float
    mean: float
    f1_loss: float


def measure_drift(predictions: Sequence[Prediction], float_probabilities: Array, truth: Sequence[str]) -> Drift:
    """Compare what a bundle says, run as users run it, with the float network's probabilities of the same texts.

    Texts longer than one window are left out: the float network has read their beginning only. `truth` are the true
    classes.
    """
    whole = [index for index, prediction in enumerate(predictions) if prediction.windows == 1]
    ours = np.stack([predictions[index].probabilities for index in whole])
    theirs = float_probabilities[whole]
    gaps = np.abs(ours - theirs)
    labels = [truth[index] for index in whole]
    known = default_taxonomy().labels
    f1 = [summary(labels, probabilities, known)["f1_harmful"] for probabilities in (theirs, ours)]
    return Drift(len(whole), float(gaps.max()), float(gaps.mean()), float(f1[0] - f1[1]))


def finish_bundle(folder: Path, info: BundleInfo) -> None:
    """Write the model card and then `bundle.json`, with the digests of all other files."""
    (folder / CARD).write_text(model_card(info), encoding="utf-8")
    files = {name: file_digest(folder / name) for name in (MODEL, TOKENIZER, CARD)}
    finished = BundleInfo(**{**asdict(info), "labels": info.labels, "files": files})
    (folder / INFO).write_text(finished.to_json(), encoding="utf-8")
