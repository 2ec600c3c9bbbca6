import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ruthan.errors import BundleError
from ruthan.model.bundle import default_bundle, read_bundle
from ruthan.model.classifier import Classifier


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = bundle / "bundle.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


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
        (lambda info: info.update(normalizer="0"), "text normaliser 0"),
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
