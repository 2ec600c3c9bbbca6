from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, PreTrainedModel

from train.errors import BackboneError
from train.network import MessageClassifier, keep_layers, load_backbone, round_activations, set_dropout


def network() -> MessageClassifier:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    return MessageClassifier(BertModel(config, add_pooling_layer=False), classes=3, dropout=0.1).eval()


def test_padding_changes_nothing() -> None:
    model = network()
    ids = torch.tensor([[5, 6, 7]])
    padded = torch.tensor([[5, 6, 7, 1, 1, 1]])
    mask = torch.tensor([[1, 1, 1, 0, 0, 0]])
    alone = model(ids, torch.ones_like(ids))["logits"]
    assert torch.allclose(alone, model(padded, mask)["logits"], atol=1e-6)


def test_features_are_standardised_before_the_head() -> None:
    model = network()
    ids = torch.tensor([[5, 6, 7], [8, 9, 10]])
    mask = torch.ones_like(ids)
    with torch.no_grad():
        features = model.features(ids, mask)
        model.feature_mean.copy_(features.mean(0))
        expected = model.head(features - features.mean(0))
        assert torch.allclose(model(ids, mask)["logits"], expected, atol=1e-5)


def test_the_features_that_come_out_are_those_that_the_head_sees() -> None:
    model = network()
    ids = torch.tensor([[5, 6, 7], [8, 9, 10]])
    model.feature_mean.fill_(0.5)
    model.feature_scale.fill_(2)
    output = model(ids, torch.ones_like(ids))
    assert torch.allclose(output["logits"], model.head(output["features"]))


def deep(layers: int) -> PreTrainedModel:
    """An encoder whose layers can be told by the bias of their output."""
    config = BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=64
    )
    encoder = BertModel(config, add_pooling_layer=False).eval()
    for number, layer in enumerate(encoder.encoder.layer):
        torch.nn.init.constant_(layer.output.dense.bias, number)
    return encoder


def numbers(encoder: PreTrainedModel) -> list[int]:
    return [int(layer.output.dense.bias[0]) for layer in encoder.encoder.layer]


@pytest.mark.parametrize(
    ("layers", "count", "kept"),
    [(12, 6, [0, 2, 4, 7, 9, 11]), (12, 2, [0, 11]), (12, 1, [0]), (3, 3, [0, 1, 2]), (1, 1, [0]), (6, 5, None)],
)
def test_the_first_the_last_and_layers_evenly_between_are_kept(layers: int, count: int, kept: list[int] | None) -> None:
    encoder = deep(layers)
    keep_layers(encoder, count)
    found = numbers(encoder)
    assert len(found) == encoder.config.num_hidden_layers == count
    assert found == kept or (kept is None and found[0] == 0 and found[-1] == layers - 1)
    ids = torch.tensor([[5, 6, 7]])
    assert encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.isfinite().all()


def test_of_any_number_of_layers_as_many_remain_as_are_asked_for() -> None:
    for layers in range(1, 8):
        for count in range(1, layers + 1):
            encoder = deep(layers)
            keep_layers(encoder, count)
            assert len(numbers(encoder)) == count
            assert numbers(encoder)[0] == 0
            assert count == 1 or numbers(encoder)[-1] == layers - 1


def test_more_layers_than_there_are_is_an_error_and_changes_nothing() -> None:
    encoder = deep(2)
    with pytest.raises(BackboneError, match="has 2 layers; layers: 3 is more"):
        keep_layers(encoder, 3)
    assert numbers(encoder) == [0, 1]


def test_what_enters_a_linear_layer_is_rounded_to_256_values_and_zero_stays_zero() -> None:
    model = network()
    seen: list[torch.Tensor] = []
    layer = model.encoder.encoder.layer[0].intermediate.dense
    handles = round_activations(model.encoder)
    layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    ids = torch.arange(5, 45).view(2, 20)
    model(ids, torch.ones_like(ids))
    steps = seen[0].unique()
    assert 20 < len(steps) <= 256
    assert 0 in steps
    gaps = steps.diff()
    assert torch.allclose(gaps / gaps.min(), (gaps / gaps.min()).round(), atol=1e-2)  # of one scale
    for handle in handles:
        handle.remove()
    model(ids, torch.ones_like(ids))
    assert len(seen[1].unique()) > 256


def test_gradients_flow_through_the_rounding_and_the_head_is_not_rounded() -> None:
    model = network()
    handles = round_activations(model.encoder)
    assert len(handles) == 6  # query, key, value, the output of attention, and both of the feed-forward layer
    ids = torch.tensor([[5, 6, 7]])
    model(ids, torch.ones_like(ids))["logits"].sum().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
    assert model.encoder.get_input_embeddings().weight.grad[5].any()
    assert model.encoder.encoder.layer[0].attention.self.value.weight.grad.any()
    assert not model.head._forward_pre_hooks


def test_rounding_passes_gradients_unchanged() -> None:
    linear = torch.nn.Linear(4, 1, bias=False)
    handles = round_activations(torch.nn.Sequential(torch.nn.ModuleList([linear])))
    values = torch.tensor([[-1.0, 0.0, 0.3, 2.0]], requires_grad=True)
    linear(values).sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, linear.weight.detach())
    assert len(handles) == 1


@pytest.mark.parametrize("value", [0.0, 1.5, -3.0, 1e-12])
def test_inputs_without_any_spread_can_be_rounded(value: float) -> None:
    linear = torch.nn.Linear(4, 1, bias=False)
    round_activations(torch.nn.Sequential(torch.nn.ModuleList([linear])))
    values = torch.full((1, 4), value)
    assert torch.allclose(linear(values), values @ linear.weight.T, atol=1e-5)


def test_dropout_is_set_everywhere_in_the_encoder() -> None:
    encoder = deep(2)
    set_dropout(encoder, 0.25)
    assert {module.p for module in encoder.modules() if isinstance(module, torch.nn.Dropout)} == {0.25}


def test_an_encoder_without_a_list_of_layers_cannot_be_cut() -> None:
    with pytest.raises(BackboneError, match="Linear has no list of layers"):
        keep_layers(torch.nn.Linear(2, 2), 1)


def test_a_backbone_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=f"cannot load the backbone {tmp_path}"):
        load_backbone(tmp_path)
