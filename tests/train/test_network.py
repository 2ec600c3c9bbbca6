import torch
from transformers import BertConfig, BertModel

from train.network import MessageClassifier


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


def test_labels_give_a_loss_that_falls_when_they_are_right() -> None:
    model = network()
    ids = torch.tensor([[5, 6, 7]])
    logits = model(ids, torch.ones_like(ids))["logits"]
    right, wrong = logits.argmax(), logits.argmin()
    losses = [model(ids, torch.ones_like(ids), label.view(1))["loss"] for label in (right, wrong)]
    assert losses[0] < losses[1]
