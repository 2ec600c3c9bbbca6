"""A policy: from which risk a message is reviewed or blocked. Read from a file, never fixed in code."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ruthan.errors import PolicyError
from ruthan.resources import shipped
from ruthan.verdict import Action


@dataclass(frozen=True)
class Policy:
    """`review` and `block` are risks, 0 to 1, `review` not above `block`."""

    name: str
    review: float
    block: float

    def action(self, risk: float) -> Action:
        """What to do with a message of this risk."""
        return "block" if risk >= self.block else "review" if risk >= self.review else "allow"


def default_policy() -> Path:
    """The policy file that ships with ruthan."""
    return shipped("data", "policies", "default.yaml")


def read_policy(path: Path) -> Policy:
    """Read and check a policy file.

    :raises PolicyError: it cannot be read, or a field is missing, unknown or out of range.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"cannot read the policy {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PolicyError(f"the policy {path} is not valid YAML: {error}") from error
    if not isinstance(content, dict) or content.keys() != {"name", "review", "block"}:
        raise PolicyError(f"the policy {path} must hold exactly the fields name, review and block")
    for field in ("review", "block"):
        value = content[field]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise PolicyError(f"{path}: {field} is {value!r}; a risk from 0 to 1 is needed")
    if content["review"] > content["block"]:
        raise PolicyError(f"{path}: review ({content['review']}) is above block ({content['block']})")
    return Policy(str(content["name"]), float(content["review"]), float(content["block"]))
