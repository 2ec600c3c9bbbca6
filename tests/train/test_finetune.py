import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast, TrainingArguments

from train.batches import NO_LABEL, tokenized
from train.config import TrainConfig
from train.corpus.records import UNLABELLED, Record
from train.distil import Lessons
from train.errors import BackboneError, CorpusError
from train.finetune import (
    ABSENT_CLASS_BIAS,
    _Collator,
    _Trainer,
    finetune,
    fit_start,
    last_checkpoint,
    starting_network,
    training_loss,
    training_order,
)
from train.network import MessageClassifier
from train.parts import Parts

LABELS = ("benign", "loan", "spam")
CONFIG = TrainConfig(name="x", label_smoothing=0.0)

Tiny = Callable[..., MessageClassifier]


def texts(count: int, labels: tuple[str, ...] = LABELS) -> list[Record]:
    """One pair of letters, repeated, for each label."""
    found = []
    for at in range(count):
        label = labels[at % len(labels)]
        text = ("กด", "ขต", "คถ")[at % len(labels)] * (3 + at % 5)
        found.append(Record(f"r{at}", text, label, None, "th", "sms", f"r{at}", None, "test", False))
    return found


def test_the_order_is_a_permutation_and_follows_from_the_seed() -> None:
    lengths = [(at * 37) % 91 + 1 for at in range(517)]
    order = training_order(lengths, 8, 17)
    assert sorted(order) == list(range(517))
    assert order == training_order(lengths, 8, 17)
    assert order != training_order(lengths, 8, 18)
    assert training_order([], 8, 17) == []
    assert training_order([5], 8, 17) == [0]


@pytest.mark.parametrize("count", [517, 512, 400, 7])
def test_a_batch_holds_rows_of_about_one_length_even_where_the_last_is_short(count: int) -> None:
    lengths = [(at * 37) % 91 + 1 for at in range(count)]
    for seed in range(5):
        order = training_order(lengths, 8, seed)
        batches = [[lengths[index] for index in order[at : at + 8]] for at in range(0, count, 8)]
        spreads = [max(batch) - min(batch) for batch in batches]
        assert sum(spreads) / len(spreads) <= 90 * 8 / min(count, 8 * 50) + 2
        # Not one ordered walk from short to long, which would be another thing to learn from.
        firsts = [batch[0] for batch in batches]
        assert count < 100 or firsts != sorted(firsts)


def test_the_newest_checkpoint_is_the_one_with_the_highest_step(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    assert last_checkpoint(tmp_path / "nowhere") is None
    for step in (9, 100, 20):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text("{}", encoding="utf-8")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-100"


@pytest.mark.parametrize("state", [None, "", '{"global_step": 20', "\x00" * 64])
def test_a_checkpoint_that_was_written_half_way_is_ignored(tmp_path: Path, state: str | None) -> None:
    for step in (10, 20):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "checkpoint-10" / "trainer_state.json").write_text('{"global_step": 10}', encoding="utf-8")
    if state is not None:
        (tmp_path / "checkpoint-20" / "trainer_state.json").write_text(state, encoding="utf-8")
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


def batch(rows: int = 4, width: int = 6, **changes: Any) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Outputs of a network and inputs with labels and a teacher's opinion, by lot."""
    random = torch.Generator().manual_seed(1)
    outputs = {
        "logits": torch.randn(rows, 3, generator=random).requires_grad_(),
        "features": torch.randn(rows, width, generator=random).requires_grad_(),
    }
    inputs = {
        "labels": torch.arange(rows) % 3,
        "teacher_logits": torch.randn(rows, 3, generator=random).log_softmax(-1),
        "teacher_features": torch.randn(rows, width, generator=random),
    }
    return outputs, inputs | changes


def labels_only(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"labels": inputs["labels"]}


def test_with_labels_only_the_loss_is_cross_entropy() -> None:
    outputs, inputs = batch()
    for smoothing in (0.0, 0.1):
        expected = torch.nn.functional.cross_entropy(outputs["logits"], inputs["labels"], label_smoothing=smoothing)
        loss = training_loss(outputs, labels_only(inputs), replace(CONFIG, label_smoothing=smoothing))
        assert torch.isclose(loss, expected)


def test_labels_give_a_loss_that_falls_when_they_are_right() -> None:
    outputs, _ = batch()
    right, wrong = (
        training_loss(outputs, {"labels": labels}, CONFIG)
        for labels in (outputs["logits"].argmax(-1), outputs["logits"].argmin(-1))
    )
    assert right < wrong


def test_with_teachers_only_the_labels_do_not_count() -> None:
    config = replace(CONFIG, soft_share=1.0)
    outputs, inputs = batch()
    _, others = batch(labels=torch.tensor([2, 2, 0, NO_LABEL]))
    assert training_loss(outputs, inputs, config) == training_loss(outputs, others, config)


def test_whoever_says_what_the_teacher_says_has_nothing_to_learn() -> None:
    config = replace(CONFIG, soft_share=1.0)
    _, inputs = batch()
    outputs = {"logits": inputs["teacher_logits"] + 3, "features": inputs["teacher_features"]}
    assert abs(training_loss(outputs, inputs, config)) < 1e-5
    far = {"logits": -inputs["teacher_logits"], "features": inputs["teacher_features"]}
    assert training_loss(far, inputs, config) > 0.1


def test_the_divergence_is_from_the_teacher_to_the_student_and_softened() -> None:
    config = replace(CONFIG, soft_share=1.0, soft_temperature=2.0, feature_weight=0)
    outputs, inputs = batch()
    theirs, ours = ((logits / 2).softmax(-1) for logits in (inputs["teacher_logits"], outputs["logits"]))
    divergence = (theirs * (theirs / ours).log()).sum(-1).mean()
    assert torch.isclose(training_loss(outputs, inputs, config), 4 * divergence)


def test_labels_and_teachers_are_mixed_in_the_share_that_is_asked_for() -> None:
    outputs, inputs = batch()
    hard, soft, mixed = (training_loss(outputs, inputs, replace(CONFIG, soft_share=share)) for share in (0.0, 1.0, 0.3))
    assert torch.isclose(hard, training_loss(outputs, labels_only(inputs), CONFIG))
    assert torch.isclose(mixed, 0.7 * hard + 0.3 * soft)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_row_without_a_label_carries_none_into_the_loss(smoothing: float) -> None:
    config = replace(CONFIG, label_smoothing=smoothing)
    outputs, _ = batch()
    loss = training_loss(outputs, {"labels": torch.tensor([0, NO_LABEL, 2, NO_LABEL])}, config)
    labelled = {name: values[[0, 2]] for name, values in outputs.items()}
    assert torch.isclose(loss, training_loss(labelled, {"labels": torch.tensor([0, 2])}, config))
    [gradient] = torch.autograd.grad(loss, outputs["logits"])
    assert not gradient[[1, 3]].any()
    assert gradient[[0, 2]].any()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_batch_without_any_label_gives_a_finite_loss(share: float) -> None:
    outputs, inputs = batch(labels=torch.full((4,), NO_LABEL))
    config = replace(CONFIG, soft_share=share, label_smoothing=0.05)
    loss = training_loss(outputs, inputs, config)
    [gradient] = torch.autograd.grad(loss, outputs["logits"])
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert gradient.any() == (share > 0)
    assert training_loss(outputs, labels_only(inputs), config) == 0


def test_features_of_another_width_are_ignored() -> None:
    outputs, inputs = batch()
    _, others = batch(teacher_features=torch.zeros(4, 9))
    without = training_loss(outputs, inputs, replace(CONFIG, feature_weight=0))
    assert training_loss(outputs, others, replace(CONFIG, feature_weight=50)) == without
    assert training_loss(outputs, inputs, replace(CONFIG, feature_weight=50)) > without


def test_logits_of_16_bits_are_compared_in_32() -> None:
    outputs, inputs = batch()
    rough = {name: values.bfloat16() for name, values in outputs.items()}
    loss = training_loss(rough, inputs, CONFIG)
    assert loss.dtype == torch.float32
    assert torch.isclose(loss, training_loss(outputs, inputs, CONFIG), rtol=0.05)


def test_each_row_of_a_batch_gets_its_own_lesson(letters: PreTrainedTokenizerFast) -> None:
    records = texts(3)
    lessons = Lessons(
        {"r0": 2, "r1": 0, "r2": 1},
        np.arange(9, dtype=np.float32).reshape(3, 3),
        np.arange(6, dtype=np.float32).reshape(3, 2),
    )
    rows = list(tokenized(records, LABELS, letters, 32, 1, lessons=lessons.row))
    made = _Collator(letters, lessons)(rows)
    assert made["teacher_logits"].tolist() == [[6, 7, 8], [0, 1, 2], [3, 4, 5]]
    assert made["teacher_features"].tolist() == [[4, 5], [0, 1], [2, 3]]
    assert made["labels"].tolist() == [0, 1, 2]
    assert made["input_ids"].shape == made["attention_mask"].shape == (3, 12)
    # What is only judged on, in the middle of a run, has no lesson.
    plain = list(tokenized(records, LABELS, letters, 32, 1))
    assert "teacher_logits" not in _Collator(letters, lessons)(plain)


def rates(network: MessageClassifier, config: TrainConfig, folder: Path) -> dict[str, float]:
    """The learning rate of each weight by its name."""
    trainer = _Trainer(model=network, args=TrainingArguments(str(folder), use_cpu=True, report_to=[]), config=config)
    names = {id(weight): name for name, weight in network.named_parameters()}
    groups = trainer.create_optimizer().param_groups
    found = [(names[id(weight)], group["lr"]) for group in groups for weight in group["params"]]
    assert len(found) == len(dict(found))  # no weight twice
    assert all(group["weight_decay"] == config.weight_decay for group in groups)
    return dict(found)


def test_lower_layers_learn_at_lower_rates(tmp_path: Path, tiny: Tiny) -> None:
    network = tiny(layers=3)
    config = replace(CONFIG, encoder_learning_rate=1e-3, head_learning_rate=1e-2, layer_decay=0.5)
    found = rates(network, config, tmp_path)
    assert found.keys() == dict(network.named_parameters()).keys()
    expected = {"encoder.layer.2.": 1e-3, "encoder.layer.1.": 5e-4, "encoder.layer.0.": 2.5e-4, "embeddings.": 1.25e-4}
    for name, rate in found.items():
        [wanted] = [value for part, value in {**expected, "head.": 1e-2}.items() if part in name]
        assert rate == pytest.approx(wanted), name


def test_without_decay_all_of_the_encoder_learns_alike_and_what_is_frozen_does_not(tmp_path: Path, tiny: Tiny) -> None:
    network = tiny(layers=2)
    network.encoder.get_input_embeddings().requires_grad_(False)
    found = rates(network, CONFIG, tmp_path)
    assert {rate for name, rate in found.items() if name.startswith("encoder.")} == {CONFIG.encoder_learning_rate}
    assert not [name for name in found if "word_embeddings" in name]


def test_the_start_standardises_the_features_and_knows_the_classes(
    letters: PreTrainedTokenizerFast, tiny: Tiny
) -> None:
    network = tiny(4)
    records = texts(30)
    rows = tokenized([*records, replace(records[0], label=UNLABELLED)], (*LABELS, "absent"), letters, 32, 1)
    fit_start(network, rows, letters, anew=True)
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows["input_ids"]], batch_first=True)
    with torch.inference_mode():
        output = network(ids, (ids != 0).long())
    assert output["features"].mean(0).abs().max() < 1e-3
    assert output["logits"].argmax(-1).tolist() == [*rows["labels"][:-1], 0]
    assert network.head.bias[3] == ABSENT_CLASS_BIAS
    assert not network.head.weight[3].any()


def test_two_classes_are_told_apart_as_well_as_three(letters: PreTrainedTokenizerFast, tiny: Tiny) -> None:
    network = tiny(3)
    rows = tokenized(texts(20, ("spam", "loan")), LABELS, letters, 32, 1)
    fit_start(network, rows, letters, anew=True)
    ids = torch.tensor([rows[0]["input_ids"]])
    with torch.inference_mode():
        assert network(ids, torch.ones_like(ids))["logits"].argmax() == rows[0]["labels"] == 2


def test_a_network_that_goes_on_keeps_its_head(letters: PreTrainedTokenizerFast, tiny: Tiny) -> None:
    network = tiny(3)
    before = network.head.weight.clone()
    fit_start(network, tokenized(texts(6, ("loan",)), LABELS, letters, 32, 1), letters, anew=False)
    assert torch.equal(network.head.weight, before)
    assert network.feature_mean.any()


@pytest.mark.parametrize("labels", [("loan",), (UNLABELLED,), ("loan", UNLABELLED)])
def test_texts_of_one_class_or_none_cannot_start_a_network(
    letters: PreTrainedTokenizerFast, tiny: Tiny, labels: tuple[str, ...]
) -> None:
    with pytest.raises(CorpusError, match="no texts of two classes"):
        fit_start(tiny(3), tokenized(texts(6, labels), LABELS, letters, 32, 1), letters, anew=True)


@pytest.fixture
def backbone(tmp_path: Path, letters: PreTrainedTokenizerFast, tiny: Tiny) -> Path:
    folder = tmp_path / "backbone"
    tiny(layers=2).encoder.save_pretrained(folder)
    letters.save_pretrained(folder)
    return folder


def small_run(**changes: Any) -> tuple[Parts, TrainConfig]:
    records = texts(36)
    parts = Parts(records, [records[:24]] * 2, records[24:30], [1.0] * 6, records[30:])
    settings: dict[str, Any] = {"name": "x", "variants": 2, "batch_size": 8, "checkpoint_steps": 2, "max_length": 32}
    return parts, TrainConfig(**settings | {"bf16": False, "disguised": 0} | changes)


def test_a_killed_run_goes_on_from_its_last_checkpoint_to_the_same_weights(tmp_path: Path, backbone: Path) -> None:
    parts, config = small_run(layer_decay=0.9, round_activations=True)
    folder = tmp_path / "run" / "trainer"
    folder.parent.mkdir()
    network, _, _ = finetune(parts, LABELS, config, backbone, folder)
    last = last_checkpoint(folder)
    assert last is not None
    shutil.rmtree(last)
    assert last_checkpoint(folder) == folder / "checkpoint-4"
    again, _, _ = finetune(parts, LABELS, config, backbone, folder)
    assert not again.training
    for name, tensor in network.state_dict().items():
        assert torch.allclose(tensor, again.state_dict()[name], atol=1e-6), name
    state = json.loads((folder / "checkpoint-6" / "trainer_state.json").read_text(encoding="utf-8"))
    assert state["global_step"] == 6
    start, _ = starting_network(config, 3, backbone)
    embeddings = start.encoder.get_input_embeddings().weight
    assert torch.equal(embeddings, network.encoder.get_input_embeddings().weight)  # frozen
    query = "encoder.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(start.state_dict()[query], network.state_dict()[query])


def test_a_network_keeps_so_many_layers_as_are_asked_for(backbone: Path) -> None:
    _, config = small_run(layers=1, encoder_dropout=0.2)
    network, _ = starting_network(config, 3, backbone)
    assert network.encoder.config.num_hidden_layers == len(network.encoder.encoder.layer) == 1
    assert network.encoder.encoder.layer[0].output.dropout.p == 0.2
    with pytest.raises(BackboneError, match="has 2 layers; layers: 5 is more"):
        starting_network(replace(config, layers=5), 3, backbone)


def test_a_start_keeps_its_head_and_as_many_layers_as_are_wanted(
    monkeypatch: pytest.MonkeyPatch, letters: PreTrainedTokenizerFast, tiny: Tiny
) -> None:
    start = tiny(3, layers=3)
    head = start.head.weight.clone()
    monkeypatch.setattr("train.finetune.restore", lambda *_: (start, letters))
    network, _ = starting_network(replace(CONFIG, start="a bundle", layers=2), 3, "unused")
    assert len(network.encoder.encoder.layer) == 2
    assert torch.equal(network.head.weight, head)
