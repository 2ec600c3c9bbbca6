"""The parts keep to their places, and what is installed works away from the checkout."""

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "transformers", "datasets", "onnx", "sklearn"}


def imports(path: Path) -> set[str]:
    """The top-level names that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("ruthan", {"train", "serve", "fastapi", *HEAVY}), ("serve", {"train", *HEAVY}), ("train", {"serve", "fastapi"})],
)
def test_no_package_imports_what_it_must_not_know(package: str, forbidden: set[str]) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert not imports(path) & forbidden, path


def test_nothing_is_pickled() -> None:
    for package in ("ruthan", "train", "serve"):
        for path in (ROOT / package).rglob("*.py"):
            assert not imports(path) & {"pickle", "joblib", "cloudpickle", "dill"}, path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip install .` would install, unpacked away from the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_an_installed_ruthan_finds_its_model_and_scans(installed: Path, tmp_path: Path) -> None:
    code = "import ruthan, sys; from ruthan import Scanner; print(ruthan.__file__, Scanner().scan('สวัสดี').model)"
    environment = {**os.environ, "PYTHONPATH": str(installed), "HOME": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=True)
    where, model = done.stdout.decode().split()
    assert Path(where).is_relative_to(installed)
    assert model.startswith("ruthan-")
    assert done.stderr == b""


def test_the_wheel_carries_no_corpus_and_no_tests(installed: Path) -> None:
    names = {path.name for path in installed.iterdir()}
    assert names >= {"ruthan", "serve", "train"}
    assert "tests" not in names
    assert not list(installed.rglob("*.jsonl"))
