"""A policy: from which risk a message is reviewed or blocked. Read from a file, never fixed in code."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml

from ruthan.errors import PolicyError
from ruthan.resources import shipped
from ruthan.verdict import Action


@dataclass(frozen=True)
class Policy:
    """`review` and `block` are risks, 0 to 1, `review` not above `block`; `needs_help` is what is done, whatever the
    risk, with a message in which someone may need help.
    """

    name: str
    review: float
    block: float
    needs_help: Action = "review"

    def action(self, risk: float, needs_help: bool = False) -> Action:
        """What to do with a message of this risk."""
        if needs_help:
            return self.needs_help
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
    required, known = {"name", "review", "block"}, {"name", "review", "block", "needs_help"}
    if not isinstance(content, dict) or not required <= content.keys() <= known:
        raise PolicyError(f"the policy {path} must hold the fields name, review and block, and may hold needs_help")
    for field in ("review", "block"):
        value = content[field]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise PolicyError(f"{path}: {field} is {value!r}; a risk from 0 to 1 is needed")
    if content["review"] > content["block"]:
        raise PolicyError(f"{path}: review ({content['review']}) is above block ({content['block']})")
    needs_help = content.get("needs_help", "review")
    if needs_help not in get_args(Action):
        raise PolicyError(f"{path}: needs_help is {needs_help!r}; one of {', '.join(get_args(Action))} is needed")
    return Policy(str(content["name"]), float(content["review"]), float(content["block"]), needs_help)
