"""Tell the formats of dumps apart: by what is inside first, the ending of the name only where that leaves it open."""

import json
import re
from pathlib import PurePath

from ruthan.dumps.columns import named_columns
from ruthan.dumps.discord import looks_like_discord
from ruthan.dumps.encoding import detect_encoding
from ruthan.dumps.line_chat import looks_like_line_chat
from ruthan.dumps.meta import looks_like_meta
from ruthan.dumps.telegram import looks_like_telegram
from ruthan.dumps.whatsapp import looks_like_whatsapp
from ruthan.errors import DumpError

HEAD_BYTES = 1 << 16  # enough to tell a format
_HEAD = 4_000  # characters that the recognisers want

# The formats by name, each with what a person calls it.
FORMATS = {
    "line": "LINE chat",
    "whatsapp": "WhatsApp chat",
    "telegram": "Telegram export",
    "meta": "Messenger or Instagram export",
    "discord": "Discord export",
    "sms-xml": "SMS Backup & Restore",
    "mbox": "mailbox",
    "eml": "mail",
    "csv": "CSV",
    "tsv": "TSV",
    "jsonl": "JSON lines",
    "json": "JSON",
    "text": "plain text, a message a line",
    "xlsx": "workbook",
    "parquet": "Parquet",
}
ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".txt": "text",
    ".mbox": "mbox",
    ".mbx": "mbox",
    ".eml": "eml",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xls": "xlsx",
    ".ods": "xlsx",
    ".parquet": "parquet",
}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # XLS, and workbooks with a password

# What is sometimes handed over in place of a dump, by how it begins, and what to do instead.
_OTHERS = (
    (b"%PDF-", "a PDF; export the messages as text, CSV or JSON"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"SQLite format 3\x00", "a database; export its table of messages as CSV"),
    (b"Rar!\x1a", "a RAR archive; unpack it and give the folder"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it and give the folder"),
    (b"BZh", "compressed by bzip2; unpack it first"),
    (b"\xfd7zXZ\x00", "compressed by xz; unpack it first"),
)
_TAR = (257, b"ustar")
BINARY = 0.1  # share of control characters from which on nobody wrote it

# What `ruthan scan` writes and may be found again in a folder of dumps: rows, the list beside them, campaigns.
_RESULTS = re.compile(
    r'file,line,risk,label,action,|\{"risk": [0-9.e-]{1,12}, "label": "|\{"id": "c-[0-9a-f]{12}", "messages": '
    r'|\{"file": "(?:[^"\\]|\\.){0,3000}", "line": [0-9]{1,9}, "(?:reason|notice)": "'
)
_MBOX = re.compile(r"From [^\r\n]{0,200}?[0-9]:[0-9]{2}[^\r\n]{0,40}? [0-9]{4}")
_HEADER = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,40}):(?: |\t|\r?\n)")
_MAIL_HEADERS = frozenset(
    "from to cc subject date received return-path delivered-to message-id mime-version content-type dkim-signature"
    " reply-to x-received arc-seal".split()
)


def detect_format(head: bytes, name: str) -> str:
    """The name of the format, one of FORMATS, of a file that begins with `head` (`HEAD_BYTES` are enough).

    :raises DumpError: it is of a kind that is known and never read, such as a web page; says what to do instead.
    """
    ending = ENDINGS.get(PurePath(name).suffix.lower())
    for beginning, what in _OTHERS:
        # "BZh" and "GIF8" could begin a message.
        if head.startswith(beginning) and (len(beginning) > 4 or b"\x00" in head[:512]):
            raise DumpError(f"{name}: {what}")
    if head[_TAR[0] :].startswith(_TAR[1]):
        raise DumpError(f"{name}: a tar archive; unpack it and give the folder")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((_OLE, b"PK\x03\x04")):
        return "xlsx"
    if not head:
        return ending or "text"
    return _of_text(_decoded(head), name, ending)


def _decoded(head: bytes) -> str:
    return head.decode(detect_encoding(head).name, "replace").removeprefix("\ufeff").lstrip("\r\n\t ")


def _of_text(text: str, name: str, ending: str | None) -> str:
    start = text[:_HEAD]
    if _RESULTS.match(start):
        raise DumpError(
            f"{name}: results of ruthan scan, and no dump; to scan texts in it, give it alone with --format"
        )
    table = _table(text)
    certain = _of_xml(start, name) or (None if table else _of_chat(start))
    if certain or ending in ("csv", "tsv"):
        return certain or ending or ""
    if re.match(r'\{\s{0,99}["}]|\[\s{0,99}[{\["\]]', start):
        return _of_json(text, start, ending)
    if _MBOX.match(start):
        return "mbox"
    if _is_mail(start, ending):
        return "eml"
    if ending is None or ending == "text":
        if ending is None and len(start) > 500 and sum(map(_is_binary, start)) > BINARY * len(start):
            raise DumpError(
                f"{name}: no text, but a program, a picture or the like; export the messages as text or CSV"
            )
        return table or "text"
    # A workbook, a mail or JSON by its name only is damaged, or something else: as text it is at least looked at.
    return ending if ending in ("jsonl", "json") else "text"


def _is_binary(character: str) -> bool:
    return character < " " and character not in "\t\r\n\f\v"


def _of_chat(start: str) -> str | None:
    if looks_like_line_chat(start):
        return "line"
    return "whatsapp" if looks_like_whatsapp(start) else None


def _of_xml(start: str, name: str) -> str | None:
    if not start.startswith("<"):
        return None
    if re.search(r"<(?:smses|calls)[\s>]", start):
        return "sms-xml"
    if re.match(r"<!doctype html|<html[\s>]", start, re.IGNORECASE):
        raise DumpError(f"{name}: a web page; export the chat again as JSON or text")
    if start.startswith(("<?xml", "<!DOCTYPE")):
        raise DumpError(f"{name}: XML of an unknown kind; of XML only SMS Backup & Restore is read")
    return None


def _of_json(text: str, start: str, ending: str | None) -> str:
    first, _, rest = text.partition("\n")
    whole = _is_object(first)
    if whole and ending == "jsonl":
        return "jsonl"
    if looks_like_telegram(start):
        return "telegram"
    if looks_like_meta(start):
        return "meta"
    if looks_like_discord(start):
        return "discord"
    if ending == "jsonl" or (whole and rest.lstrip().startswith("{")):
        return "jsonl"
    # One object on one line: a document if it holds a list of objects, else the only line of JSON lines.
    return "jsonl" if whole and ending != "json" and not _holds_list(first) else "json"


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _holds_list(line: str) -> bool:
    return any(isinstance(value, list) for value in json.loads(line).values())


def _is_mail(start: str, ending: str | None) -> bool:
    names = []
    for line in start.splitlines():
        found = _HEADER.match(line + "\n")
        if found:
            names.append(found[1].lower())
        elif not line.startswith((" ", "\t")):
            break
    known = len(_MAIL_HEADERS.intersection(names))
    return known >= (1 if ending == "eml" else 3) and (ending in ("eml", None, "text", "mbox"))


def _table(text: str) -> str | None:
    """`csv` or `tsv` if the first line names the text column and another one, and the next line has as many cells."""
    lines = text.splitlines()[:2]
    for delimiter, form in ((",", "csv"), (";", "csv"), ("|", "csv"), ("\t", "tsv")):
        header = [cell.strip("\"' ") for cell in lines[0].split(delimiter)] if lines else []
        column, others = named_columns(header)
        fits = len(lines) == 2 and lines[1].count(delimiter) >= len(header) - 1
        if column is not None and others and (fits or (lines[1:] and '"' in lines[1])):
            return form
    return None
