"""Settings of the service, from the environment: `RUTHAN_<NAME>`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ruthan.errors import RuthanError


class SettingsError(RuthanError):
    """A setting has a value that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """:param model: folder of a model bundle; None for the one that ships.
    :param policy: a policy file; None for the one that ships.
    :param max_text_length: longest message, in code points; 20,000 take a core about a second and a half.
    :param max_batch: most messages in one batch request.
    :param max_body_bytes: largest request body.
    """

    model: Path | None = None
    policy: Path | None = None
    max_text_length: int = 20_000
    max_batch: int = 256
    max_body_bytes: int = 4_000_000

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read `RUTHAN_MODEL`, `RUTHAN_POLICY`, `RUTHAN_MAX_TEXT_LENGTH`, `RUTHAN_MAX_BATCH`, `RUTHAN_MAX_BODY_BYTES`.

        :raises SettingsError: a number is no whole number above 0.
        """
        values: dict[str, Path | int] = {}
        for name in ("model", "policy"):
            if value := environment.get(f"RUTHAN_{name.upper()}"):
                values[name] = Path(value)
        for name in ("max_text_length", "max_batch", "max_body_bytes"):
            if value := environment.get(f"RUTHAN_{name.upper()}"):
                if not value.isascii() or not value.isdigit() or int(value) < 1:
                    raise SettingsError(f"RUTHAN_{name.upper()} is {value!r}; a whole number above 0 is needed")
                values[name] = int(value)
        return cls(**values)  # type: ignore[arg-type]
