import io

from rich.console import Console

from ruthan.batch.table import Overview, printable
from ruthan.message import Message, Source


def row(risk: float) -> dict[str, object]:
    return {"risk": risk, "label": "loan" if risk >= 0.5 else "benign", "action": "allow"}


def test_the_riskiest_come_first_and_no_more_than_asked_for() -> None:
    overview = Overview(top=3)
    for number in range(100):
        overview.add(Message(str(number)), row(number / 100))
    assert [message.text for message, _ in overview.riskiest()] == ["99", "98", "97"]
    assert overview.messages == 100


def test_equal_risks_keep_the_order_of_the_dump() -> None:
    overview = Overview(top=2)
    for number in range(5):
        overview.add(Message(str(number)), row(0.7))
    assert [message.text for message, _ in overview.riskiest()] == ["0", "1"]


def test_nothing_is_shown_of_no_messages() -> None:
    output = io.StringIO()
    Overview(top=0).show(Console(file=output, width=100))
    assert output.getvalue() == "0 messages: block 0, review 0, allow 0\n"


def test_a_message_cannot_write_to_the_terminal() -> None:
    assert printable("a\x1b[31mred\x07\u202eb\n\nc") == "a[31mredb c"
    output = io.StringIO()
    overview = Overview(top=1)
    overview.add(Message("[bold]x[/bold]\x1b[2J", source=Source("/a/b.csv", 7)), row(0.9))
    overview.show(Console(file=output, width=120))
    assert "[bold]x[/bold][2J" in output.getvalue()
    assert "\x1b" not in output.getvalue()
    assert "b.csv:7" in output.getvalue()
