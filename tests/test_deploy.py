"""What deploy/ holds is sound by its own linters, and speaks of settings, paths and figures that there are."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve.settings import PREFIX, Settings, read_settings
from serve.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
MANIFESTS = [path for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) if path.stem != "kustomization"]


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def resources() -> dict[str, Any]:
    """The manifests by their kind; there is one of each."""
    found = [yaml.safe_load(path.read_text("utf-8")) for path in MANIFESTS]
    assert len({each["kind"] for each in found}) == len(found)
    return {each["kind"]: each for each in found}


def container() -> dict[str, Any]:
    return resources()["Deployment"]["spec"]["template"]["spec"]["containers"][0]  # type: ignore[no-any-return]


def test_the_dockerfile_has_no_fault() -> None:
    program = shutil.which("hadolint") or str(Path(sys.executable).with_name("hadolint"))
    if not Path(program).exists():
        pytest.skip("hadolint is not installed for this kind of machine")
    run(program, "--ignore", "DL3013", str(DEPLOY / "Dockerfile"))


def test_the_compose_file_keeps_to_its_schema() -> None:
    run(
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(DEPLOY / "compose.yaml"),
    )


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_keeps_to_the_schema_of_kubernetes(path: Path) -> None:
    import kubernetes_validate

    for content in yaml.safe_load_all(path.read_text("utf-8")):
        kubernetes_validate.validate(content, kubernetes_validate.latest_version(), strict=True)


def test_all_of_it_is_tidy_yaml() -> None:
    rules = "{extends: relaxed, rules: {line-length: {max: 120}, document-start: disable}}"
    run(sys.executable, "-m", "yamllint", "--strict", "-d", rules, str(DEPLOY))


def test_every_manifest_is_applied() -> None:
    content = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text("utf-8"))
    assert sorted(content["resources"]) == sorted(path.name for path in MANIFESTS)


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "kubernetes/settings.yaml"])
def test_only_settings_that_there_are_are_set(name: str) -> None:
    text = (DEPLOY / name).read_text("utf-8")
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+)\s*[:=]", text))
    assert named
    assert {each.lower() for each in named} <= Settings.model_fields.keys()


def test_the_settings_of_kubernetes_can_be_read_and_fit_its_probes_and_grace() -> None:
    settings = read_settings(resources()["ConfigMap"]["data"])
    spec = resources()["Deployment"]["spec"]["template"]["spec"]
    assert container()["ports"][0]["containerPort"] == settings.port
    assert spec["terminationGracePeriodSeconds"] > settings.shutdown_delay + settings.drain_seconds
    probe = container()["readinessProbe"]
    assert settings.shutdown_delay >= probe["periodSeconds"] * probe["failureThreshold"]
    assert spec["enableServiceLinks"] is False
    target = resources()["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]
    assert int(target["target"]["averageValue"]) < settings.queue_tokens
    assert str(settings.data_dir) in {mount["mountPath"] for mount in container()["volumeMounts"]}


def test_probes_ask_paths_that_there_are() -> None:
    from serve.routes.health import router

    paths = {route.path for route in router.routes}  # type: ignore[attr-defined]
    assert {
        container()[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")
    } <= paths
    assert "/healthz" in (DEPLOY / "Dockerfile").read_text("utf-8")


def test_nothing_runs_as_root_or_writes_to_the_image() -> None:
    spec = resources()["Deployment"]["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert container()["securityContext"]["readOnlyRootFilesystem"]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]["ruthan"]
    assert compose["read_only"]
    assert re.search(r"^USER 10001$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert spec["securityContext"]["runAsUser"] == 10001


def figures() -> set[str]:
    """The names of all series that the service tells, once everything has happened."""
    metrics = Metrics()
    metrics.request("/v1/scan", "POST", 200, 0.1)
    metrics.verdict("loan", "block")
    metrics.cache(True)
    metrics.rejected("queue-full")
    metrics.model("m", "p")
    metrics.swap("done")
    metrics.job("done")
    metrics.feedback("kept")
    metrics.texts(1, 0)
    return set(re.findall(r"^(ruthan_\w+)", metrics.render()[0].decode(), re.MULTILINE))


def test_dashboard_and_scaling_use_figures_that_there_are() -> None:
    board = json.loads((DEPLOY / "grafana/ruthan.json").read_text("utf-8"))
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    used = {name for each in expressions for name in re.findall(r"ruthan_\w+", each)}
    assert len(board["panels"]) >= 10
    assert used <= figures()
    rules = (DEPLOY / "kubernetes/monitoring/adapter-rules.yaml").read_text("utf-8")
    scaled = resources()["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert scaled in figures()
    assert scaled in rules


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    board = json.loads((DEPLOY / "grafana/ruthan.json").read_text("utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_the_image_is_built_from_all_that_a_wheel_needs() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    packages = re.search(r"^packages = \[(.*)\]$", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert packages is not None
    assert kept >= {
        *re.findall(r'"(\w+)"', packages[1]),
        "data",
        "models",
        "README.md",
        "LICENSE",
        "NOTICE",
        "constraints.txt",
    }
