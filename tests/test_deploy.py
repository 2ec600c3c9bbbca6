"""What deploy/ holds is sound by its own linters, and speaks of settings, paths and figures that there are."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve.access import check_may_listen
from serve.commands.common import opened
from serve.main import main, parser
from serve.settings import PREFIX, Settings, SettingsError, read_settings
from serve.storage import keys
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


def pod(kind: str = "Deployment") -> dict[str, Any]:
    return resources()[kind]["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def container(kind: str = "Deployment") -> dict[str, Any]:
    return pod(kind)["containers"][0]  # type: ignore[no-any-return]


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))  # type: ignore[no-any-return]


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
    # The first key would be made anew each time.
    assert sorted([*content["resources"], "first-key.yaml"]) == sorted(path.name for path in MANIFESTS)
    assert "first-key.yaml" not in content["resources"]


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "kubernetes/settings.yaml"])
def test_only_settings_that_there_are_are_set(name: str) -> None:
    text = (DEPLOY / name).read_text("utf-8")
    named = set(re.findall(rf"\b{PREFIX}([A-Z_]+)\s*[:=]", text))
    assert named
    assert {each.lower() for each in named} <= Settings.model_fields.keys()


def test_the_settings_of_kubernetes_can_be_read_and_fit_its_probes_and_grace() -> None:
    settings = read_settings(resources()["ConfigMap"]["data"])
    spec = pod()
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
    for kind in ("Deployment", "Job"):
        assert pod(kind)["securityContext"]["runAsNonRoot"]
        assert pod(kind)["securityContext"]["runAsUser"] == 10001
        assert container(kind)["securityContext"]["readOnlyRootFilesystem"]
    assert compose()["services"]["ruthan"]["read_only"]
    assert re.search(r"^USER 10001$", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)


def test_the_service_starts_with_the_key_that_is_made_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'ruthan.sqlite'}"
    settings = read_settings({**resources()["ConfigMap"]["data"], "RUTHAN_DATABASE_URL": url})
    monkeypatch.setenv("RUTHAN_DATABASE_URL", url)
    with opened(settings) as database:
        with pytest.raises(SettingsError, match="no API key yet"):
            check_may_listen(settings, database)
        assert main(container("Job")["args"]) == 0
        check_may_listen(settings, database)
        with database.session() as session:
            [key] = keys.every(session)
    assert key.scopes == "metrics"  # it is in the logs
    assert key.expires_at is not None


def test_the_first_key_is_made_as_the_service_would_run() -> None:
    assert container("Job")["envFrom"] == container()["envFrom"]
    assert container("Job")["volumeMounts"] == container()["volumeMounts"]
    for part in ("securityContext", "enableServiceLinks", "automountServiceAccountToken"):
        assert pod("Job")[part] == pod()[part]
    assert container("Job")["securityContext"] == container()["securityContext"]
    [image] = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text("utf-8"))["images"]
    assert container("Job")["image"] == f"{image['newName']}:{image['newTag']}"
    assert f"job/{resources()['Job']['metadata']['name']}\n" in (ROOT / "docs/serving.md").read_text("utf-8")


def test_every_command_of_the_service_is_real() -> None:
    shown = (ROOT / "docs/serving.md").read_text("utf-8") + (DEPLOY / "compose.yaml").read_text("utf-8")
    commands = re.findall(r"(?:run --rm ruthan|-- ruthan-serve) (keys [^)\n]*)", shown)
    assert len(commands) >= 4
    for command in commands:
        assert parser().parse_args(shlex.split(command)).verb == "create"


def test_figures_are_asked_for_with_a_key() -> None:
    assert not read_settings(resources()["ConfigMap"]["data"]).metrics_open
    monitor = yaml.safe_load((DEPLOY / "kubernetes/monitoring/scraping.yaml").read_text("utf-8"))
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in container()["ports"]}
    secret = endpoint["authorization"]["credentials"]
    made = f"create secret generic {secret['name']} --from-literal={secret['key']}="
    assert made in (ROOT / "docs/serving.md").read_text("utf-8")
    # Whoever goes by annotations has no key.
    assert "annotations" not in resources()["Deployment"]["spec"]["template"]["metadata"]


def test_whoever_calls_through_the_published_port_is_told_apart() -> None:
    [network] = compose()["networks"]["default"]["ipam"]["config"]
    value = compose()["services"]["ruthan"]["environment"]["RUTHAN_TRUSTED_PROXIES"]
    assert value == f"${{RUTHAN_TRUSTED_PROXIES:-{network['gateway']}}}"
    assert ip_address(network["gateway"]) in ip_network(network["subnet"])


@pytest.mark.parametrize("name", ["RUTHAN_TRUSTED_PROXIES", "RUTHAN_RATE_STORAGE"])
def test_who_is_counted_and_where_can_be_set(name: str) -> None:
    assert name in resources()["ConfigMap"]["data"]
    assert f"${{{name}:-" in compose()["services"]["ruthan"]["environment"][name]


def test_any_password_will_do() -> None:
    from sqlalchemy import make_url

    environment = compose()["services"]["ruthan"]["environment"]
    url = make_url(environment["RUTHAN_DATABASE_URL"])
    postgres = compose()["services"]["postgres"]["environment"]
    assert (url.username, url.database) == (postgres["POSTGRES_USER"], postgres["POSTGRES_DB"])
    assert url.password is None
    assert environment["PGPASSWORD"] == postgres["POSTGRES_PASSWORD"]


def test_the_database_is_ready_only_when_others_can_reach_it() -> None:
    check = compose()["services"]["postgres"]["healthcheck"]["test"]
    assert "--host 127.0.0.1" in check[1]


def test_the_image_tells_nobody_that_it_runs() -> None:
    assert "ORT_DISABLE_TELEMETRY=1" in (DEPLOY / "Dockerfile").read_text("utf-8")


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
