import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ruthan.errors import BundleError
from ruthan.model.bundle import read_bundle
from ruthan.model.classifier import Classifier, softmax
from train.config import TrainConfig
from train.errors import BackboneError
from train.hub import HEAD
from train.restore import restore
from train.run import run

TEXTS = ["สวัสดีครับ พรุ่งนี้เจอกัน", "คุณได้รับสิทธิ์กู้เงิน 50,000 บาท แอดไลน์", "Your parcel is held", "ข้ามฝั่งไปทำงาน " * 9]


def probabilities(folder: Path, temperature: float) -> np.ndarray:
    network, tokenizer = restore(folder)
    with torch.inference_mode():
        logits = [
            network(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.int64))["logits"][0].numpy()
            for ids in tokenizer(TEXTS)["input_ids"]
        ]
    return softmax(np.stack(logits), temperature)


def test_a_network_comes_out_of_its_bundle_as_it_went_in_but_for_rounding(smoke_run: Path) -> None:
    bundle = read_bundle(smoke_run / "bundle")
    expected = np.stack([each.probabilities for each in Classifier(bundle).classify(TEXTS)])
    assert np.abs(probabilities(smoke_run / "bundle", bundle.info.temperature) - expected).max() < 0.02


def test_a_network_comes_out_of_a_hub_folder_without_any_loss(smoke_run: Path) -> None:
    bundle = read_bundle(smoke_run / "bundle-float")
    expected = np.stack([each.probabilities for each in Classifier(bundle).classify(TEXTS)])
    assert np.abs(probabilities(smoke_run / "hub", bundle.info.temperature) - expected).max() < 1e-4


@pytest.mark.parametrize("kind", ["bundle", "hub"])
def test_what_a_run_left_is_trained_further_and_exported_again(
    smoke_run: Path, smoke_config: TrainConfig, tmp_path: Path, kind: str
) -> None:
    start = str(smoke_run / kind)
    changes = {"name": "further", "start": start, "teachers": [start], "layers": None, "limit": 32}
    bundle = read_bundle(run(TrainConfig.from_dict({**smoke_config.to_dict(), **changes}), tmp_path / "run"))
    assert bundle.info.training["config"]["start"] == start
    assert Classifier(bundle).classify(TEXTS[:1])[0].probabilities.sum() == pytest.approx(1)


def test_a_float_bundle_is_no_bundle_to_start_from(smoke_run: Path) -> None:
    with pytest.raises(BackboneError, match="holds no BERT in 8 bits"):
        restore(smoke_run / "bundle-float")


def test_a_hub_folder_whose_head_is_cut_short_is_refused(smoke_run: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(smoke_run / "hub", tmp_path / "hub"))
    (folder / HEAD).write_bytes((folder / HEAD).read_bytes()[:100])
    with pytest.raises(BackboneError, match="head.safetensors is damaged"):
        restore(folder)


def test_a_folder_that_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot read"):
        restore(tmp_path)


def test_a_hub_folder_has_a_header_and_the_card_and_the_bundle(smoke_run: Path) -> None:
    card = (smoke_run / "hub" / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "# smoke" in card
    assert json.loads((smoke_run / "hub" / "config.json").read_text(encoding="utf-8"))["id2label"]["15"] == "benign"
    assert read_bundle(smoke_run / "hub" / "onnx").info.name == "smoke"
