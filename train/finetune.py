"""Fine-tune the network on records with `transformers.Trainer`, length-grouped and seeded, on the CPU or better."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset, concatenate_datasets
from sklearn.linear_model import LogisticRegression
from torch import nn
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase, Trainer, TrainingArguments, set_seed

from train.config import TrainConfig
from train.corpus.records import Record
from train.network import MessageClassifier, load_backbone, set_dropout
from train.slots import prepare

PROBE_STRENGTH = 0.02  # inverse regularisation of the probe; weak, as it is fitted to far more features than it needs
ABSENT_CLASS_BIAS = -5.0  # logit of a class that no training text has

Floats = npt.NDArray[Any]


def has_bf16() -> bool:
    """Whether this machine computes in bfloat16; a processor that only imitates it is twenty times slower with it."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def tokenized(
    records: Sequence[Record],
    labels: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    seed: int,
    variant: int = 0,
    blur: bool = False,
    disguised: float = 0.0,
) -> Dataset:
    """Token ids, label and length of every record.

    Each `variant` has other invented identifiers in its slots, drawn from `seed`; `blur` also swaps kinds of
    identifiers, see `train.slots`; the share `disguised` is rewritten, see `train.disguise`.
    """
    number = {label: index for index, label in enumerate(labels)}
    rows: list[dict[str, Any]] = []
    for record in records:
        text = prepare(record.text, record.id, seed, variant, blur, disguised)
        ids = tokenizer(text, truncation=True, max_length=max_length)["input_ids"]
        rows.append(
            {
                "input_ids": ids,
                "attention_mask": [1] * len(ids),
                "labels": number[record.label],
                "length": len(ids),
            }
        )
    return Dataset.from_list(rows)


class _Trainer(Trainer):
    """`Trainer` with one learning rate for the encoder and another for the head."""

    def __init__(self, *args: Any, config: TrainConfig, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config = config

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        network: Any = self.model
        encoder = [weight for weight in network.encoder.parameters() if weight.requires_grad]
        groups = [
            {"params": encoder, "lr": self.config.encoder_learning_rate},
            {"params": list(network.head.parameters()), "lr": self.config.head_learning_rate},
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=self.config.weight_decay)
        return self.optimizer


def finetune(
    passes: Sequence[Sequence[Record]],
    labels: Sequence[str],
    config: TrainConfig,
    backbone: str | Path,
    folder: Path,
) -> tuple[MessageClassifier, PreTrainedTokenizerBase]:
    """Train on the records of all passes and return the network, in evaluation mode, with its tokenizer.

    The first pass also fits the probe. `folder` takes the trainer's log. With the same records, config and machine
    the result is the same.
    """
    set_seed(config.seed)
    encoder, tokenizer = load_backbone(backbone, config.layers)
    set_dropout(encoder, config.encoder_dropout)
    if config.freeze_embeddings:
        encoder.get_input_embeddings().requires_grad_(False)
    network = MessageClassifier(encoder, len(labels), config.dropout, config.label_smoothing)
    network.eval()
    tables = [
        tokenized(records, labels, tokenizer, config.max_length, config.seed, variant, True, config.disguised)
        for variant, records in enumerate(passes)
    ]
    probe(network, tables[0], tokenizer)
    rows = concatenate_datasets(tables)
    steps = -(-len(rows) // config.batch_size)
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,  # the passes are the epochs
        per_device_train_batch_size=config.batch_size,
        warmup_steps=int(steps * config.warmup_share),
        lr_scheduler_type="linear",
        train_sampling_strategy="group_by_length",
        length_column_name="length",
        bf16=config.bf16 and has_bf16(),
        use_cpu=not torch.cuda.is_available(),
        seed=config.seed,
        logging_steps=max(1, steps // 40),
        save_strategy="no",
        report_to=[],
    )
    trainer = _Trainer(
        model=network,
        args=arguments,
        train_dataset=rows,
        data_collator=DataCollatorWithPadding(tokenizer),
        config=config,
    )
    trainer.train()
    # Drops the autocast that the trainer wrapped around `forward`: what is exported and compared is float32.
    trained: MessageClassifier = trainer.accelerator.unwrap_model(network, keep_fp32_wrapper=False)
    return trained.cpu().eval(), tokenizer


def probe(network: MessageClassifier, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> None:
    """Set standardisation and linear layer from the untouched encoder's features of `rows`: a logistic regression.

    Fine-tuning from there and not from a random layer (Kumar et al., 2022, "LP-FT") reached in a tenth of the steps
    what a random start reached in all.
    """
    features = _in_batches(rows, tokenizer, network.encoder.config.hidden_size, network.features)
    mean, scale = features.mean(0), features.std(0) + 1e-6
    classes = np.array(rows["labels"])
    fitted = LogisticRegression(C=PROBE_STRENGTH, max_iter=500).fit((features - mean) / scale, classes)
    weight = np.zeros((network.head.out_features, features.shape[1]), np.float32)
    bias = np.full(network.head.out_features, ABSENT_CLASS_BIAS, np.float32)
    if len(fitted.classes_) == 2:  # scikit-learn then gives one row, for the second class
        weight[fitted.classes_] = np.concatenate([-fitted.coef_, fitted.coef_]) / 2
        bias[fitted.classes_] = np.concatenate([-fitted.intercept_, fitted.intercept_]) / 2
    else:
        weight[fitted.classes_], bias[fitted.classes_] = fitted.coef_, fitted.intercept_
    with torch.no_grad():
        network.feature_mean.copy_(torch.from_numpy(mean))
        network.feature_scale.copy_(torch.from_numpy(scale))
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(bias))


def predict_logits(network: MessageClassifier, rows: Dataset, tokenizer: PreTrainedTokenizerBase) -> Floats:
    """Float32 logits of shape (rows, classes), in the order of `rows`."""
    return _in_batches(rows, tokenizer, network.head.out_features, lambda ids, mask: network(ids, mask)["logits"])


def _in_batches(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    width: int,
    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Floats:
    """`function` of the ids and the mask of all rows, in batches of similar length; (rows, `width`), float32."""
    result = np.zeros((len(rows), width), np.float32)
    order = np.argsort(rows["length"], kind="stable")
    for start in range(0, len(rows), 32):
        chosen = order[start : start + 32]
        batch = tokenizer.pad({"input_ids": [rows[int(index)]["input_ids"] for index in chosen]}, return_tensors="pt")
        with torch.inference_mode():
            result[chosen] = function(batch["input_ids"], batch["attention_mask"]).numpy()
    return result
