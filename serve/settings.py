"""Settings of the service: `RUTHAN_<NAME>` in the environment, or `<name>` in a YAML file; the environment wins.

docs/serving.md has them all in one table, which a test holds against this file.
"""

import os
import re
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from platformdirs import user_state_path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from ruthan.errors import RuthanError
from ruthan.resources import shipped

PREFIX = "RUTHAN_"
FILE = "RUTHAN_SETTINGS"  # names the file

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[int, Field(ge=0)]  # 0 for no limit
Seconds = Annotated[float, Field(gt=0)]


class SettingsError(RuthanError):
    """A setting has a value that cannot be used."""


class Settings(BaseModel):
    """What an operator may set; `Field.description` is its row in the table of docs/serving.md."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Model
    model: Path | None = Field(None, description="folder of the model bundle; the one that ships")
    policy: Path | None = Field(None, description="policy file; the one that ships")
    models_dir: Path = Field(
        default_factory=lambda: shipped("models"), description="folder whose bundles `POST /v1/admin/model` may load"
    )
    policies_dir: Path = Field(
        default_factory=lambda: shipped("data", "policies"), description="folder whose policies it may load"
    )

    # Process
    host: str = Field("127.0.0.1", description="address to listen on; `--host`")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; `--port`")
    workers: Count = Field(1, description="processes that answer")
    threads: Count | None = Field(None, description="texts a worker reads at once; its share of the cores")
    shutdown_delay: float = Field(0, ge=0, description="seconds to go on after SIGTERM, `/readyz` saying no")
    drain_seconds: Seconds = Field(30, description="seconds for requests under way to finish before it stops")
    trusted_proxies: str = Field("", description="addresses whose `X-Forwarded-For` is believed, by commas")

    # Limits
    max_text_length: Count = Field(20_000, description="code points of a message; that many take a core 1.5 s")
    max_batch: Count = Field(256, description="messages of a batch; a tenth with `explain=true`")
    max_batch_characters: Count = Field(100_000, description="code points of a batch; a tenth with `explain=true`")
    max_body_bytes: Count = Field(4_000_000, description="bytes of a request, uploads apart")
    max_upload_bytes: Count = Field(1_000_000_000, description="bytes of an uploaded dump")
    max_connections: Count = Field(1_000, description="open connections of a worker; more are closed at once")
    header_seconds: Seconds = Field(10, description="seconds for the head of a request to arrive")
    body_seconds: Seconds = Field(30, description="longest pause within a body, and the whole, or 1 s for 10 kB of it")

    # Engine
    batch_tokens: Count = Field(192, description="about how many tokens are judged together")
    batch_wait_ms: float = Field(2, ge=0, le=1_000, description="longest wait for others to judge together with")
    queue_tokens: Count = Field(
        16_000,
        description="while so many tokens wait of short requests, or of long ones, 429: 2 s of two cores",
    )
    deadline_seconds: Seconds = Field(10, description="seconds within which a verdict is given, or 504")
    cache_bytes: Rate = Field(64_000_000, description="bytes of verdicts that a worker remembers; 0 for none")
    cache_seconds: Seconds = Field(3_600, description="seconds for which a verdict is remembered")

    # Access
    require_keys: bool = Field(False, description="ask for a key on loopback too, where none has been made")
    rate_per_key: Rate = Field(6_000, description="messages a minute for a key that has no limit of its own; 0: any")
    rate_per_address: Rate = Field(6_000, description="messages a minute for an address without a key; 0: any")
    failures_per_address: Rate = Field(30, description="wrong keys a minute from an address; 0: any")
    rate_storage: SecretStr = Field(
        SecretStr("memory://"), description="where rates are counted, as in `redis://host:6379`"
    )
    cors_origins: list[str] = Field(default_factory=list, description="origins whose pages may call; by commas")
    metrics_open: bool = Field(False, description="give `/metrics` without a key, even where keys are needed")

    # Storage
    data_dir: Path = Field(
        default_factory=lambda: user_state_path("ruthan"), description="folder for the database and for dumps"
    )
    database_url: SecretStr | None = Field(None, description="`postgresql+psycopg://…`; SQLite in `data_dir`")
    migrate: bool = Field(True, description="bring the database up to date at the start")
    store_text: bool = Field(False, description="keep the texts of messages and of feedback")
    mask_stored_text: bool = Field(True, description="hide numbers, ids, accounts and names in what is kept")
    retention_days: Count = Field(30, description="days after which kept texts are erased")
    feedback_per_key: Rate = Field(1_000, description="feedback a day from one key or address; 0: any")

    # Jobs
    job_retention_days: Count = Field(7, description="days after which a job and its results are erased")
    jobs_per_key: Count = Field(20, description="unfinished jobs of one key")
    jobs_at_once: Rate = Field(
        1, description="jobs that a worker runs at once; 0: others with the same database and folder do"
    )

    # LINE
    line_channel_secret: SecretStr | None = Field(None, description="channel secret; switches the LINE webhook on")
    line_channel_token: SecretStr | None = Field(None, description="channel access token")

    # Operations
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level of the log")

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for each in filter(None, map(str.strip, value.split(","))):
            if each != "*":
                ip_network(each)
        return value

    @field_validator("line_channel_secret", "line_channel_token")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        bare = value.get_secret_value().strip()  # a file or a secret store often ends in a new line
        if not re.fullmatch(r"[\x21-\x7e]*", bare):
            raise ValueError("copy it from the LINE Developers Console: letters, digits and signs, without spaces")
        return SecretStr(bare)

    @field_validator("database_url")
    @classmethod
    def _one_host(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value().partition("://")[2].partition("/")[0].count("@") > 1:
            raise ValueError("has an @ too many; one within a password is written %40")
        return value

    @model_validator(mode="after")
    def _fitting(self) -> "Settings":
        if (self.line_channel_secret is None) != (self.line_channel_token is None):
            raise ValueError("line_channel_secret and line_channel_token go together; set both or none")
        return self

    @property
    def database(self) -> str:
        """The URL of the database."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'ruthan.sqlite'}"


def read_settings(
    environment: Mapping[str, str] = os.environ, file: str | Path | None = None, **given: Any
) -> Settings:
    """The settings of the environment and of a file, by default the one that `RUTHAN_SETTINGS` names; `given` ones win,
    if not None.

    An empty variable is as good as none, and one that names no setting is passed over: other programs have theirs.

    :raises SettingsError: a value cannot be used, or the file cannot, or it names a setting that there is not.
    """
    path = str(file or environment.get(FILE, ""))
    values = _file(path)
    where = dict.fromkeys(values, path)
    for name in Settings.model_fields:
        if value := environment.get(PREFIX + name.upper()):
            values[name], where[name] = value, ""
    values |= {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsError(_told(error, where)) from None


def _file(path: str) -> dict[str, Any]:
    if not path:
        return {}
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the settings {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings {path} are not valid YAML: {_fault(error)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise SettingsError(f"the settings {path} must be lines of `name: value`")
    if unknown := sorted(content.keys() - Settings.model_fields.keys()):
        raise SettingsError(f"{path}: there is no setting {unknown[0]!r}; docs/serving.md lists them")
    return content


def _fault(error: Exception) -> str:
    """What is wrong with a file, and where; the library would quote the line, which may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else type(error).__name__
    kind = str(getattr(error, "context", None) or "it cannot be read")
    return f"{where}: {kind}"


def _told(error: ValidationError, where: Mapping[str, str]) -> str:
    """The first fault on one line, with the name of the variable or of the file; secrets are not quoted."""
    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        return str(first["msg"]).removeprefix("Value error, ")
    name = str(first["loc"][0])
    place = f"{where[name]}: {name}" if where.get(name) else PREFIX + name.upper()
    secret = "Secret" in str(Settings.model_fields[name].annotation)
    value = "not usable" if secret else repr(first["input"])
    return f"{place} is {value}: {first['msg'][:1].lower()}{first['msg'][1:]}"
