import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ruthan.errors import BundleError
from ruthan.model.bundle import default_bundle, file_digest, read_bundle
from ruthan.model.classifier import Classifier


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))


@pytest.fixture
def described(tmp_path: Path) -> Path:
    """A folder with nothing but `bundle.json`, which is checked before any other file is read."""
    shutil.copy(default_bundle() / "bundle.json", tmp_path)
    return tmp_path


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = bundle / "bundle.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def replace_file(bundle: Path, name: str, content: bytes) -> None:
    """Change a file and let `bundle.json` vouch for it, as damage before packing does."""
    (bundle / name).write_bytes(content)
    edit(bundle, lambda info: info["files"].update({name: file_digest(bundle / name)}))


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_the_shipped_bundle_is_whole_and_at_most_30_megabytes() -> None:
    folder = default_bundle()
    assert read_bundle(folder).info.labels[-1] == "benign"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 30_000_000


def test_the_shipped_bundle_holds_no_pickle() -> None:
    assert {path.name for path in default_bundle().iterdir()} == {
        "model.onnx", "tokenizer.json", "README.md", "bundle.json",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "README.md"])
def test_a_changed_file_is_refused_by_name(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} is damaged.*restore"):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "README.md", "bundle.json"])
def test_a_missing_file_is_refused_by_name(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        read_bundle(bundle)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_file_cut_short_is_refused(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes((bundle / name).read_bytes()[:1000])
    with pytest.raises(BundleError, match="is damaged"):
        read_bundle(bundle)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda info: info.update(format=99), "bundle format 99, this ruthan reads format 2; upgrade"),
        (lambda info: info.update(normalizer="0"), "text normaliser '0'"),
        (lambda info: info.pop("labels"), "lacks labels"),
        (lambda info: info.update(temperature=0), "temperature is 0"),
        (lambda info: info.update(window_overlap=900), "cannot overlap"),
        (lambda info: info["files"].update({"../x": "0"}), "not a file of the bundle"),
        (lambda info: info["files"].pop("model.onnx"), "lists no model.onnx"),
    ],
)
def test_a_bundle_of_another_version_or_with_nonsense_is_refused(
    bundle: Path, change: Callable[[dict[str, Any]], object], complaint: str
) -> None:
    edit(bundle, change)
    with pytest.raises(BundleError, match=complaint):
        read_bundle(bundle)


NEITHER_TEXT = [None, 3, True, [], {}, "", " ", "half\ud83d"]
NO_OBJECT = [None, 3, "x", [], [["a", 1]]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", value) for value in [*NEITHER_TEXT, "two\nlines"]),
        *(("licence", value) for value in NEITHER_TEXT),
        *(("attribution", value) for value in NEITHER_TEXT),
        *(("normalizer", value) for value in [*NEITHER_TEXT, 2, ["2"]]),
        *(("labels", value) for value in [None, 3, "benign", {"benign": 1}, ["benign", 3], ["benign", ["loan"]], [""]]),
        *(("labels", value) for value in [[], ["benign"], ["loan", "spam"], ["loan", "benign", "loan"]]),
        *(("labels", value) for value in [["benign", "phishing"], ["Benign", "loan"], ["benign", "benign"]]),
        *(("temperature", value) for value in [None, "1", True, float("nan"), float("inf"), -1, 0, 1e-300, 10**400]),
        *(("window_tokens", value) for value in [None, "256", 256.0, True, float("nan"), -1, 2, 513, 10**12]),
        *(("window_overlap", value) for value in [None, "64", 64.5, False, -1, 254, 10**12]),
        *(("thresholds", value) for value in [*NO_OBJECT, {"0.01": "0.9"}, {"0.01": float("nan")}, {"0.01": True}]),
        *(("training", value) for value in NO_OBJECT),
        *(("metrics", value) for value in NO_OBJECT),
        *(("files", value) for value in [*NO_OBJECT, {"model.onnx": None}, {"model.onnx": 3, "tokenizer.json": "0"}]),
        *(
            ("files", {"model.onnx": "0", "tokenizer.json": "0", name: "0"})
            for name in ["", "..", "a/b", "a\n", "x" * 300]
        ),
        *(("format", value) for value in [None, "2", True, [2], nested(200)]),
        *((field, nested(200)) for field in ("name", "labels", "temperature", "window_tokens", "thresholds", "files")),
    ],
)
def test_a_field_of_the_wrong_kind_is_named_on_one_line_with_the_remedy(
    described: Path, field: str, value: Any
) -> None:
    edit(described, lambda info: info.update({field: value}))
    if field == "files" and isinstance(value, dict):  # what is listed is read in order, the odd one first
        edit(described, lambda info: info.update(files=dict(reversed(info["files"].items()))))
    with pytest.raises(BundleError) as raised:
        read_bundle(described)
    said = str(raised.value).removeprefix(str(described))
    assert said.startswith("/bundle.json")
    assert re.search(rf"\b{field}\b", said)
    assert re.search("restore the folder|upgrade ruthan", said)
    assert said.isprintable()
    assert len(said) < 300


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("temperature", float("nan"), "temperature is nan; a number from 0.01 to 100 is needed"),
        ("window_tokens", 513, "window_tokens is 513; a whole number from 3 to 512, the positions of the network,"),
        ("labels", ["benign", "phishing"], "labels holds 'phishing', which is no class of data/taxonomy.yaml"),
        ("labels", ["benign", "loan", "loan"], "labels holds 'loan' twice"),
        ("labels", ["spam", "loan"], "labels lacks 'benign'"),
        ("labels", ["benign"], "labels holds no harmful class"),
        ("window_overlap", 254, "windows of 256 tokens cannot overlap by 254"),
    ],
)
def test_what_stands_in_a_field_is_said(described: Path, field: str, value: Any, complaint: str) -> None:
    edit(described, lambda info: info.update({field: value}))
    with pytest.raises(BundleError, match=re.escape(complaint)):
        read_bundle(described)


@pytest.mark.parametrize("info", ["[" * 100_000, '{"format": 2, "metrics": ' + "[" * 5_000 + "]" * 5_000 + "}"])
def test_a_bundle_json_nested_too_deeply_is_refused(described: Path, info: str) -> None:
    (described / "bundle.json").write_text(info, encoding="utf-8")
    with pytest.raises(BundleError, match=r"bundle\.json is damaged, its JSON is nested too deeply; restore"):
        read_bundle(described)


def test_a_field_that_a_later_version_adds_is_passed_over(bundle: Path) -> None:
    edit(bundle, lambda info: info.update(colour="red"))
    assert read_bundle(bundle).info.labels[-1] == "benign"


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\x00"])
def test_a_garbled_bundle_json_is_refused(bundle: Path, content: str) -> None:
    (bundle / "bundle.json").write_text(content, encoding="utf-8")
    with pytest.raises(BundleError, match=r"bundle\.json"):
        read_bundle(bundle)


def test_no_bundle_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no model bundle at"):
        read_bundle(tmp_path / "nothing")


def test_labels_that_do_not_fit_the_network_are_refused(bundle: Path) -> None:
    edit(bundle, lambda info: info["labels"].pop(0))
    with pytest.raises(BundleError, match="16 network outputs for 15 labels"):
        Classifier(read_bundle(bundle))


@pytest.mark.parametrize("share", [0, 0.001, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_file_cut_short_that_bundle_json_vouches_for_is_refused_by_name(
    bundle: Path, capfd: pytest.CaptureFixture[str], name: str, share: float
) -> None:
    content = (bundle / name).read_bytes()
    replace_file(bundle, name, content[: int(len(content) * share)])
    with pytest.raises(BundleError, match=rf"{re.escape(name)}: cannot be loaded: .*; restore the folder") as raised:
        Classifier(read_bundle(bundle))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr().err == ""


def edit_tokenizer(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads((bundle / "tokenizer.json").read_text(encoding="utf-8"))
    change(content)
    replace_file(bundle, "tokenizer.json", json.dumps(content).encode())


def test_a_tokenizer_with_ids_beyond_the_embedding_table_is_refused(bundle: Path) -> None:
    size = len(json.loads((bundle / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
    edit_tokenizer(bundle, lambda content: content["model"]["vocab"].append(["สวัสดีทุกคน", -1.0]))
    with pytest.raises(BundleError, match=rf"tokenizer\.json: token id {size} is beyond the embedding table of model"):
        Classifier(read_bundle(bundle))


def test_a_tokenizer_that_puts_nothing_around_a_text_is_refused(bundle: Path) -> None:
    edit_tokenizer(bundle, lambda content: content.update(post_processor=None))
    with pytest.raises(BundleError, match=r"tokenizer\.json: a special token at either end"):
        Classifier(read_bundle(bundle))


def write_network(bundle: Path, rows: int, positions: int, value: float = 1.0) -> None:
    """A network of two plain tables, whose look-ups refuse what is beyond them."""
    onnx = pytest.importorskip("onnx", reason="needs the extra train")
    helper, types = onnx.helper, onnx.TensorProto
    labels = len(read_bundle(bundle).info.labels)
    tables = {
        "words": np.full((rows, labels), value, np.float32),
        "places": np.zeros((positions, labels), np.float32),
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "axes": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["word"]),
        helper.make_node("Shape", ["input_ids"], ["shape"]),
        helper.make_node("Gather", ["shape", "one"], ["length"]),
        helper.make_node("Range", ["zero", "length", "one"], ["at"]),
        helper.make_node("Gather", ["places", "at"], ["place"]),
        helper.make_node("Add", ["word", "place"], ["contributions"]),
        helper.make_node("ReduceMean", ["contributions", "axes"], ["logits"], keepdims=0),
    ]
    inputs = [
        helper.make_tensor_value_info(name, types.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [
        helper.make_tensor_value_info("logits", types.FLOAT, ["batch", labels]),
        helper.make_tensor_value_info("contributions", types.FLOAT, ["batch", "tokens", labels]),
    ]
    constants = [onnx.numpy_helper.from_array(table, name) for name, table in tables.items()]
    graph = helper.make_graph(nodes, "plain", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    replace_file(bundle, "model.onnx", model.SerializeToString())


def test_a_network_that_itself_refuses_ids_beyond_its_table_is_held_to_it(bundle: Path) -> None:
    write_network(bundle, rows=40_000, positions=512)
    assert Classifier(read_bundle(bundle)).classify(["สวัสดีครับ"])[0].windows == 1
    write_network(bundle, rows=30_000, positions=512)
    with pytest.raises(BundleError, match=r"model\.onnx: cannot read .*; restore"):
        Classifier(read_bundle(bundle))


def test_a_window_longer_than_the_network_has_positions_is_an_error_and_no_verdict(bundle: Path) -> None:
    write_network(bundle, rows=40_000, positions=64)
    classifier = Classifier(read_bundle(bundle))
    assert classifier.classify(["สวัสดีครับ"])[0].windows == 1
    with pytest.raises(BundleError, match=r"model\.onnx: cannot read a window of 256 tokens \(window_tokens is 256\)"):
        classifier.classify([" ".join(map(str, range(1_000)))])


def test_a_network_that_gives_no_numbers_is_refused(bundle: Path) -> None:
    write_network(bundle, rows=40_000, positions=512, value=float("nan"))
    with pytest.raises(BundleError, match=r"model\.onnx: the network gives no finite numbers"):
        Classifier(read_bundle(bundle))
