from io import StringIO

from rich.console import Console

from ruthan.breakdown import show
from ruthan.scanner import Scanner


def shown(scanner: Scanner, text: str, colour: bool = False) -> str:
    file = StringIO()
    console = Console(file=file, width=160, highlight=False, force_terminal=colour)
    show(console, text, scanner.scan(text, explain=True))
    return file.getvalue()


def test_everything_that_was_found_is_shown(scanner: Scanner) -> None:
    output = shown(scanner, "รับแอดมินตอบแชท ด่วน! พาข้ามฝั่งไปปอยเปต สล๊ot โทร 081-000-5678")
    for part in ("Warning signs", "Identifiers", "Disguises", "Words the model went by", "Why", "What to do"):
        assert part in output
    assert "reads “สล็อต”" in output or "reads “สล๊อต”" in output
    assert "+66810005678" in output
    assert "Recruitment signs:" in output


def test_a_plea_is_shown_to_be_one(scanner: Scanner) -> None:
    output = shown(scanner, "ช่วยด้วย หนูถูกขังอยู่ในตึก เขาไม่ให้ออก")
    assert "needs_help" in output
    assert "ไม่พบสัญญาณเตือน" not in output


def test_nothing_found_is_short(scanner: Scanner) -> None:
    output = shown(scanner, "ถึงบ้านแล้วนะ")
    assert "Warning signs" not in output
    assert "ไม่พบสัญญาณเตือน" in output


def test_a_message_cannot_send_escapes_to_the_terminal(scanner: Scanner) -> None:
    output = shown(scanner, "กด\x1b]0;pwned\x07 ด่วน \u202eabc\u202c \x9b31m")
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(output)


def test_hostile_text_is_shown(scanner: Scanner, hostile: str) -> None:
    assert "model" in shown(scanner, hostile[:3_000], colour=True)
