import contextlib
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ruthan.errors import BundleError, RuthanError
from ruthan.model.bundle import default_bundle
from ruthan.policy import default_policy
from serve.engine.models import Models
from serve.problems import Problem
from serve.settings import Settings
from serve.storage.database import Database
from serve.storage.tables import ActiveModel
from serve.telemetry.metrics import Metrics

Make = Callable[..., Models]


@pytest.fixture
def own(settings: Settings, tmp_path: Path) -> Settings:
    """Settings with folders of models and policies of the test's own: `first` and `second`, `strict` and `mild`."""
    models, policies = tmp_path / "models", tmp_path / "policies"
    policies.mkdir()
    for name in ("first", "second"):
        shutil.copytree(default_bundle(), models / name)
        info = json.loads((models / name / "bundle.json").read_text("utf-8"))
        (models / name / "bundle.json").write_text(json.dumps(info | {"name": name}), "utf-8")
    for name in ("strict", "mild"):
        (policies / f"{name}.yaml").write_text(f"name: {name}\nreview: 0.5\nblock: 0.9\n", "utf-8")
    return settings.model_copy(update={"models_dir": models, "policies_dir": policies, "model": models / "first"})


def make(own: Settings, database: Database) -> Models:
    return Models(own, database, Metrics())


def test_the_model_and_the_policy_are_named_with_their_digests(own: Settings, database: Database) -> None:
    current = make(own, database).current
    name, _, digest = current.model_version.partition("@")
    assert (name, len(digest)) == ("first", 12)
    assert current.policy_version.startswith("default@")
    assert current.policy_path == default_policy()


def test_an_exchange_holds_for_all_workers_and_after_a_new_start(own: Settings, database: Database) -> None:
    one, other = make(own, database), make(own, database)
    loaded = one.swap("second", "strict", "k1")
    assert (loaded.scanner.model, loaded.scanner.policy.name) == ("second", "strict")
    assert one.current is loaded
    assert other.current.scanner.model == "first"
    assert other.follow()
    assert other.current.model_version == loaded.model_version
    assert not other.follow()
    assert not one.follow()
    assert make(own, database).current.policy_version == loaded.policy_version
    one.swap(None, "mild", "k1")
    assert other.follow()
    assert (other.current.scanner.model, other.current.scanner.policy.name) == ("second", "mild")


def test_what_an_exchange_does_not_name_stays_as_another_worker_was_told(own: Settings, database: Database) -> None:
    one, other = make(own, database), make(own, database)
    one.swap("second", None, "k1")
    other.swap(None, "mild", "k1")  # it has not followed yet
    one.follow()
    for each in (one, other, make(own, database)):
        assert (each.current.scanner.model, each.current.scanner.policy.name) == ("second", "mild")


def test_of_two_exchanges_at_once_all_workers_follow_one(
    own: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = [make(own, database), make(own, database)]
    together = threading.Barrier(2)
    load = Models._load

    def slowly(self: Models, model: Path, policy: Path) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(5)
        return load(self, model, policy)

    monkeypatch.setattr(Models, "_load", slowly)
    outcomes: list[str] = []

    def exchange(worker: Models, name: str) -> None:
        try:
            outcomes.append(worker.swap(name, None, "k1").scanner.model)
        except Problem as problem:
            outcomes.append(problem.kind)

    threads = [threading.Thread(target=exchange, args=pair) for pair in zip(workers, ("first", "second"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monkeypatch.undo()
    assert outcomes.count("conflict") == 1
    for worker in workers:
        worker.follow()
    assert {worker.current.scanner.model for worker in workers} == {*outcomes} - {"conflict"}


def test_an_exchange_that_was_not_kept_is_not_taken_for_one(
    own: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = make(own, database), make(own, database)

    def away(session: object, name: str) -> None:
        raise Problem("storage-unavailable", "away")

    monkeypatch.setattr("serve.engine.models.alone", away)
    with pytest.raises(Problem, match="away"):
        one.swap("second", None, "k1")
    monkeypatch.undo()
    assert one.current.scanner.model == "first"
    other.swap("second", None, "k1")
    assert one.follow()
    assert one.current.scanner.model == "second"


def test_settings_that_changed_go_before_an_exchange(own: Settings, database: Database) -> None:
    make(own, database).swap("second", None, "k1")
    changed = own.model_copy(update={"policy": own.policies_dir / "mild.yaml"})
    assert make(changed, database).current.scanner.model == "first"


def test_what_was_exchanged_and_is_gone_gives_way_to_the_settings(own: Settings, database: Database) -> None:
    make(own, database).swap("second", None, "k1")
    shutil.rmtree(own.models_dir / "second")
    assert make(own, database).current.scanner.model == "first"


@pytest.mark.parametrize("name", ["nosuch", "../first", "/etc", "", ".", "a" * 200, "first/.."])
def test_only_names_of_the_own_folders_are_taken(own: Settings, database: Database, name: str) -> None:
    models = make(own, database)
    for given in ({"model": name, "policy": None}, {"model": None, "policy": name}):
        with pytest.raises(Problem) as problem:
            models.swap(by="k", **given)  # type: ignore[arg-type]
        assert problem.value.kind == "not-found"
    assert models.current.scanner.model == "first"


def damage_network(folder: Path) -> None:
    with (folder / "model.onnx").open("r+b") as file:
        file.seek(500_000)
        file.write(b"\x00" * 1_000)


def damage_labels(folder: Path) -> None:
    info = json.loads((folder / "bundle.json").read_text("utf-8"))
    info["labels"] = info["labels"][1:] + info["labels"][:1]  # fits, and means something else
    (folder / "bundle.json").write_text(json.dumps(info), "utf-8")


def damage_info(folder: Path) -> None:
    (folder / "bundle.json").write_text("{", "utf-8")


@pytest.mark.parametrize("damage", [damage_network, damage_labels, damage_info])
def test_a_bad_bundle_changes_nothing(own: Settings, database: Database, damage: Callable[[Path], None]) -> None:
    models = make(own, database)
    before = models.current
    damage(own.models_dir / "second")
    with pytest.raises(Problem) as problem:
        models.swap("second", None, "k")
    assert problem.value.kind == "conflict"
    assert str(own.models_dir) not in problem.value.detail
    assert models.current is before
    with database.session() as session:
        assert session.get(ActiveModel, 1) is None
    damage(own.models_dir / "first")
    with pytest.raises(RuthanError):
        models.reload()
    assert models.current is before
    with pytest.raises(BundleError):
        make(own, database)


def test_a_worker_that_cannot_follow_stays_with_what_it_has(own: Settings, database: Database) -> None:
    one, other = make(own, database), make(own, database)
    one.swap("second", None, "k")
    damage_network(own.models_dir / "second")
    assert not other.follow()
    assert other.current.scanner.model == "first"


def test_a_changed_policy_is_read_again(own: Settings, database: Database) -> None:
    models = make(own, database)
    models.swap(None, "strict", "k")
    before = models.current.policy_version
    (own.policies_dir / "strict.yaml").write_text("name: strict\nreview: 0.1\nblock: 0.2\n", "utf-8")
    assert models.reload().scanner.policy.review == 0.1
    assert models.current.policy_version != before


def memory() -> float:
    """MiB that this process holds."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def test_models_that_were_given_up_leave_no_threads_and_no_memory(own: Settings, database: Database) -> None:
    models = make(own, database)

    def exchange(name: str) -> None:
        models.swap(name, None, "k")
        models.current.scanner.classifier.classify(["a", "b", "c"])  # starts its threads

    def exchange_often(times: int) -> None:
        for turn in range(times):
            thread = threading.Thread(target=exchange, args=(("second", "first")[turn % 2],))
            thread.start()
            thread.join()
            models.follow()

    exchange_often(2)
    before, held = threading.active_count(), memory()
    exchange_often(6)
    assert threading.active_count() <= before + 2
    assert memory() < held + 100  # six models take four times as much
