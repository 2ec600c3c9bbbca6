"""Rows of results as flat columns, for what holds tables: CSV, Excel, Parquet and databases; and back again."""

import json
from collections.abc import Mapping
from typing import Any

from ruthan.errors import DataError

COLUMNS: dict[str, type] = {
    "file": str,
    "line": int,
    "risk": float,
    "label": str,
    "action": str,
    "needs_help": str,
    "evidence": str,
    "reasons": str,
    "reasons_en": str,
    "advice": str,
    "windows": int,
    "model": str,
    "policy": str,
    "channel": str,
    "sender": str,
    "sent_at": str,
    "message_id": str,
    "template": str,
    "recruitment": str,
    "scores": str,
    "evidence_json": str,
}
"""Columns and their types, in order. Described in docs/scanning.md."""
TEXT_COLUMNS: dict[str, type] = {"thread": str, "text": str}
"""Further ones of results that hold the messages' texts."""


def columns(with_text: bool) -> dict[str, type]:
    """The columns of results with or without the messages' texts."""
    return COLUMNS | TEXT_COLUMNS if with_text else COLUMNS


def flat(row: Mapping[str, Any], with_text: bool) -> list[Any]:
    """A row of results as its cells, in the order of `columns`; None where nothing is known. Texts are valid UTF-8."""
    source, message = row.get("source", {}), row.get("message", {})
    cells = {
        **{name: row.get(name) for name in ("risk", "label", "action", "windows", "model", "policy")},
        "file": source.get("file"),
        "line": source.get("line"),
        "needs_help": "yes" if row["needs_help"] else "no",
        "evidence": "; ".join(f"{each['type']} {each.get('value') or each['text']}" for each in row["evidence"]),
        **{name: " ".join(row[name]) for name in ("reasons", "reasons_en", "advice")},
        **{name: message.get(name) for name in ("channel", "sender", "sent_at", "template", "thread", "text")},
        "message_id": message.get("id"),
        "recruitment": _json(row["recruitment"]) if "recruitment" in row else None,
        "scores": _json(row["scores"]),
        "evidence_json": _json(row["evidence"]),
    }
    return [clean(cell) if isinstance(cell := cells[name], str) else cell for name in columns(with_text)]


def clean(text: str) -> str:
    """The same as valid UTF-8: half characters become escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def unflat(cells: Mapping[str, Any], place: str) -> dict[str, Any]:
    """The row of results that `flat` made these cells of, as far as they tell; reasons and advice stay joined.

    :raises DataError: a column is missing, or a cell holds something else; the message names `place`.
    """
    if missing := [name for name in ("risk", "label", "action", "evidence_json") if name not in cells]:
        raise DataError(f"{place}: no column {missing[0]!r}; results that ruthan scan wrote are needed")
    try:
        row: dict[str, Any] = {
            "risk": float(cells["risk"]),
            "label": str(cells["label"]),
            "action": str(cells["action"]),
            "needs_help": cells.get("needs_help") == "yes",
            "scores": json.loads(cells.get("scores") or "{}"),
            "evidence": json.loads(cells["evidence_json"] or "[]"),
            **{name: [cells[name]] if cells.get(name) else [] for name in ("reasons", "reasons_en", "advice")},
            "model": str(cells.get("model") or ""),
            "policy": str(cells.get("policy") or ""),
            "windows": int(cells.get("windows") or 0),
        }
        if cells.get("recruitment"):
            row["recruitment"] = json.loads(cells["recruitment"])
        if cells.get("file"):
            row["source"] = {"file": str(cells["file"]), "line": int(cells.get("line") or 0)}
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"{place}: a cell that ruthan scan did not write; give its results unchanged") from error
    named = {"id": "message_id"} | {
        name: name for name in ("channel", "sender", "sent_at", "template", "thread", "text")
    }
    row["message"] = {name: str(cells[column]) for name, column in named.items() if cells.get(column)}
    return row
