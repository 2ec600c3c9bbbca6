"""What the training tests share. They need the extra `train`; without it they are skipped."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs the extra train: pip install '.[train]'")

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from train.backbone import WheelFile, read_wheel, wheel_path
from train.config import TrainConfig, read_config
from train.corpus.records import Record, read_corpus
from train.network import MessageClassifier
from train.run import run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def wheel() -> WheelFile:
    """The offline backbone's file, read once."""
    return read_wheel(wheel_path())


@pytest.fixture(scope="session")
def records() -> list[Record]:
    """The corpus that ships."""
    return read_corpus([ROOT / "data/corpus"])


@pytest.fixture(scope="session")
def smoke_config() -> TrainConfig:
    data = [f"corpus=[{ROOT / 'data/corpus'}]", f"challenge={ROOT / 'data/challenge'}"]
    return read_config(ROOT / "train/configs/smoke.yaml", data)


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory, smoke_config: TrainConfig) -> Path:
    """The folder of a finished smoke run: the whole pipeline, small."""
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    run(smoke_config, folder)
    return folder


@pytest.fixture(scope="session")
def letters() -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are characters; all but Thai and ASCII letters are unknown to it."""
    special = ["<pad>", "<unk>", "<s>", "</s>"]
    known = special + [chr(code) for code in (*range(0x61, 0x7B), *range(0xE01, 0xE3B), *range(0xE40, 0xE4F))]
    tokenizer = Tokenizer(models.WordLevel({token: at for at, token in enumerate(known)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


@pytest.fixture(scope="session")
def tiny() -> Callable[..., MessageClassifier]:
    """Makes networks of random weights that take no time."""

    def network(classes: int = 3, layers: int = 1, width: int = 32, seed: int = 0) -> MessageClassifier:
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=120,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=2,
            intermediate_size=2 * width,
            max_position_embeddings=80,
            attn_implementation="eager",
        )
        return MessageClassifier(BertModel(config, add_pooling_layer=False), classes).eval()

    return network
