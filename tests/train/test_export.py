"""Export, with tiny randomly initialised checkpoints of the architectures that users bring."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    BertConfig,
    CamembertConfig,
    ModernBertConfig,
    PretrainedConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

from ruthan.model.bundle import read_bundle
from ruthan.model.classifier import Classifier
from train.config import TrainConfig
from train.errors import BackboneError, ExportError
from train.export import block_dequantize, block_quantize, shrink_embeddings
from train.network import load_backbone
from train.run import run

SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": 80,
    "pad_token_id": 1,
}
# WangchanBERTa and PhayaThaiBERT are CamemBERTs, mmBERT is a ModernBERT.
ARCHITECTURES: dict[str, type[PretrainedConfig]] = {
    "airesearch/wangchanberta-base-att-spm-uncased": CamembertConfig,
    "clicknext/phayathaibert": CamembertConfig,
    "FacebookAI/xlm-roberta-base": XLMRobertaConfig,
    "jhu-clsp/mmBERT-small": ModernBertConfig,
    "a RoBERTa": RobertaConfig,
    "a BERT": BertConfig,
}


def checkpoint(folder: Path, config_class: type[PretrainedConfig]) -> Path:
    """A local `from_pretrained` folder with random weights and a character tokenizer."""
    alphabet = sorted({chr(code) for code in [*range(0x20, 0x7F), *range(0xE01, 0xE5C)]})
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = [(piece, 0.0) for piece in special] + [(piece, -5.0) for piece in ["▁", *alphabet]]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    names = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{key}_token": value for key, value in names.items()}
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = config_class(vocab_size=len(pieces), bos_token_id=0, eos_token_id=2, **SMALL)
    if isinstance(config, ModernBertConfig):
        config.cls_token_id, config.sep_token_id = 0, 2
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_loads_trains_a_step_and_exports(tmp_path: Path, name: str, smoke_config: TrainConfig) -> None:
    backbone = checkpoint(tmp_path / "backbone", ARCHITECTURES[name])
    config = TrainConfig.from_dict(
        {**smoke_config.to_dict(), "name": "tiny", "backbone": str(backbone), "limit": 32, "layers": None}
    )
    bundle = read_bundle(run(config, tmp_path / "run"))
    assert "Fine-tuned from" in bundle.info.attribution
    predictions = Classifier(bundle).classify(["สวัสดีครับ", "โอนเงินด่วน " * 40])
    assert [round(float(each.probabilities.sum()), 6) for each in predictions] == [1, 1]
    assert predictions[1].windows > 1


def test_a_backbone_that_is_not_there_is_one_line_and_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="cannot load the backbone .*give a folder or a hub id"):
        load_backbone(tmp_path / "nowhere")


def test_more_layers_than_there_are_is_refused(tmp_path: Path) -> None:
    backbone = checkpoint(tmp_path, BertConfig)
    with pytest.raises(BackboneError, match="has 2 layers; layers: 3 is more"):
        load_backbone(backbone, layers=3)


def test_blocks_lose_little_at_8_bits_and_nothing_of_a_table_that_was_in_4() -> None:
    table = np.random.default_rng(0).normal(size=(50, 64)).astype(np.float32)
    codes, scales = block_quantize(table, 8)
    assert np.abs(block_dequantize(codes, scales, 8) - table).max() < 0.03
    coarse = block_dequantize(*block_quantize(table, 4), 4)
    again = block_dequantize(*block_quantize(coarse, 4), 4)
    assert np.allclose(again, coarse, atol=1e-6)


@pytest.mark.parametrize("bits", [4, 8])
def test_the_runtime_looks_up_what_was_stored(bits: int) -> None:
    table = np.random.default_rng(1).normal(size=(40, 64)).astype(np.float32)
    table[3] = 0
    if bits == 4:
        table = block_dequantize(*block_quantize(table, 4), 4)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["rows"])],
        "lookup",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [None])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 64])],
        [numpy_helper.from_array(table, "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    shrink_embeddings(model)
    assert sum(tensor.ByteSize() for tensor in model.graph.initializer) < table.nbytes * (bits + 2) / 32
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    [rows] = session.run(None, {"ids": np.arange(40)})
    assert np.abs(rows - table).max() < (1e-5 if bits == 4 else 0.03)


def test_a_network_without_embeddings_is_refused() -> None:
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "g", [], [])
    with pytest.raises(ExportError, match="no embedding look-up"):
        shrink_embeddings(onnx.helper.make_model(graph))
