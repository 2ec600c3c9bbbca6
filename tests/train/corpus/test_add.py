import json
from pathlib import Path
from typing import Any

import pytest

from train.corpus.add import add
from train.corpus.near_duplicates import text_digest
from train.corpus.records import read_corpus, record_line
from train.errors import CorpusError

OLD = {
    "id": "old-0001", "text": "ยินดีด้วยค่ะ คุณได้รับสิทธิ์กู้เงินวันนี้ แอดไลน์ {lineid}", "label": "loan", "kind": None, "lang": "th",
    "channel": "sms", "family": "old-0001", "pair": None, "origin": "authored", "hard": False,
}  # fmt: skip


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "old.jsonl").write_text(json.dumps(OLD, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def new(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    path = tmp_path / "reviewed.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_new_texts_get_an_id_a_family_and_slots(tmp_path: Path, corpus: Path) -> None:
    source = new(tmp_path, {"text": "โอนมาที่ 123-4-56789-0 โทร 0812345678", "label": "relative_impersonation"})
    filed = add(source, [corpus], corpus / "hotline.jsonl", "hotline-2026")
    assert (filed.slots, filed.left_out) == (2, [])
    (record,) = read_corpus([corpus / "hotline.jsonl"])
    assert (record.id, record.family, record.origin) == ("hotline-0001", "hotline-0001", "hotline-2026")
    assert record.text == "โอนมาที่ {account} โทร {phone}"


def test_a_paraphrase_joins_the_family_it_paraphrases_and_a_repeat_is_left_out(tmp_path: Path, corpus: Path) -> None:
    source = new(
        tmp_path,
        {"text": "ยินดีด้วย คุณได้รับสิทธิ์กู้เงินวันนี้ แอดไลน์มาเลย {lineid}", "label": "loan"},
        {"text": "ยินดีด้วยค่ะ คุณได้รับสิทธิ์กู้เงินวันนี้!! แอดไลน์ abc.123", "label": "loan"},
    )
    filed = add(source, [corpus], corpus / "old.jsonl", "x")
    assert [(record.id, record.family) for record in filed.records] == [("old-0002", "old-0001")]
    assert filed.left_out == [f"{source}:2: its letters stand already as old-0001"]
    assert len(read_corpus([corpus])) == 2


def test_a_fourth_paraphrase_is_left_out(tmp_path: Path, corpus: Path) -> None:
    rows = [
        {"text": f"ข้อความ {word} ยาวพอสมควร", "label": "loan", "family": "old-0001"}
        for word in ("แมว", "หมา", "ปลา", "นก")
    ]
    filed = add(new(tmp_path, *rows), [corpus], corpus / "x.jsonl", "x")
    assert len(filed.records) == 3
    assert filed.left_out[0].endswith("its family old-0001 has 4 texts already")


def test_filing_twice_changes_nothing(tmp_path: Path, corpus: Path) -> None:
    source = new(tmp_path, {"text": "รับซื้อบัญชีม้า", "label": "mule_account"})
    add(source, [corpus], corpus / "x.jsonl", "x")
    before = (corpus / "x.jsonl").read_bytes()
    assert add(source, [corpus], corpus / "x.jsonl", "x").records == []
    assert (corpus / "x.jsonl").read_bytes() == before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp874"])
def test_a_spreadsheet_is_filed_whatever_its_encoding(tmp_path: Path, corpus: Path, encoding: str) -> None:
    path = tmp_path / "reviewed.csv"
    path.write_bytes(
        'text,label,kind,note,hard,flags\r\n"แม่ช่วยด้วย, หนูถูกขัง\r\nอยู่ที่นี่",benign,other,x,yes,needs_help\r\n'.encode(
            encoding
        )
    )
    (record,) = add(path, [corpus], corpus / "x.jsonl", "x").records
    assert record.text == "แม่ช่วยด้วย, หนูถูกขัง\r\nอยู่ที่นี่"
    assert (record.kind, record.hard, record.flags) == ("other", True, ("needs_help",))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp874"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_spreadsheet_may_be_divided_by_commas_semicolons_or_tabs(
    tmp_path: Path, corpus: Path, encoding: str, delimiter: str, quote: str
) -> None:
    path = tmp_path / "reviewed.csv"
    text = 'ด่วน; โอน, เลย\tนะ ""จริง""'
    rows = [
        [f"{quote}{name}{quote}" for name in ("why", "text", "label", "kind", "flags")],
        ["x", f'"{text}"', "benign", "other", '"needs_help;quoted_lure"'],
        ["", "สวัสดีค่ะ", "benign", "other", ""],
    ]
    path.write_bytes("\r\n".join(map(delimiter.join, rows)).encode(encoding))
    first, second = add(path, [corpus], corpus / "x.jsonl", "x").records
    assert first.text == 'ด่วน; โอน, เลย\tนะ "จริง"'
    assert (first.kind, first.flags, second.text) == ("other", ("needs_help", "quoted_lure"), "สวัสดีค่ะ")


def test_only_the_header_says_what_divides_the_columns(tmp_path: Path, corpus: Path) -> None:
    path = tmp_path / "reviewed.csv"
    path.write_text("text;label\nโอน,ด่วน,เลย,นะ;loan\nกู้,ได้,ทุก,คน;loan\n", encoding="utf-8")
    filed = add(path, [corpus], corpus / "x.jsonl", "x").records
    assert [record.text for record in filed] == ["โอน,ด่วน,เลย,นะ", "กู้,ได้,ทุก,คน"]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"text": "x", "label": "phishing"}, ":2: label 'phishing' is not one of"),
        ({"text": "", "label": "loan"}, ":2: text must be a text that is not empty"),
        ({"text": "x", "label": "benign"}, ":2: kind None is not one of"),
        ({"text": OLD["text"], "label": "spam"}, ":2: the text stands already as old-0001, labelled loan, not spam"),
        ({"text": str(OLD["text"]) + " จ้า", "label": "spam"}, r":2: the text is \d+% like old-0001, labelled loan"),
        ({"text": "ถูกใจ", "label": "loan", "pair": "nobody"}, "pair 'nobody' does not exist"),
        ({"text": "ถูกใจ", "label": "loan", "colour": "red"}, ":2: unknown field colour"),
        ({"text": "ถูกใจ", "label": "spam", "family": "old-0001"}, ":2: family 'old-0001' is loan, not spam"),
        ({"text": ["ก"], "label": "loan"}, ":2: text must be a text"),
        ({"text": "ครึ่ง\ud83d", "label": "loan"}, ":2: text holds half a character"),
        ({"text": "โทร 1999", "label": "loan"}, ":2: text still has a hotline written out"),
    ],
)
def test_one_bad_row_and_nothing_is_written(tmp_path: Path, corpus: Path, row: dict[str, Any], complaint: str) -> None:
    before = (corpus / "old.jsonl").read_bytes()
    source = new(tmp_path, {"text": "รับซื้อบัญชีม้า", "label": "mule_account"}, row)
    with pytest.raises(CorpusError, match=complaint):
        add(source, [corpus], corpus / "old.jsonl", "x")
    assert (corpus / "old.jsonl").read_bytes() == before
    assert sorted(path.name for path in corpus.iterdir()) == ["old.jsonl"]


def test_a_row_without_a_label_yet_is_left_out_by_name(tmp_path: Path, corpus: Path) -> None:
    source = new(
        tmp_path,
        {"text": "รอก่อน", "label": ""},
        {"text": "ด้วย", "label": None},
        {"text": "รับซื้อบัญชีม้า", "label": "mule_account"},
    )
    filed = add(source, [corpus], corpus / "x.jsonl", "x")
    assert filed.left_out == [f"{source}:1: it has no label yet", f"{source}:2: it has no label yet"]
    assert [record.label for record in filed.records] == ["mule_account"]


def test_a_row_that_lacks_the_field_label_is_an_error(tmp_path: Path, corpus: Path) -> None:
    with pytest.raises(CorpusError, match=":1: missing field label"):
        add(new(tmp_path, {"text": "รอก่อน", "lable": "loan"}), [corpus], corpus / "x.jsonl", "x")


def test_a_spreadsheet_gives_back_texts_that_look_like_formulas(tmp_path: Path, corpus: Path) -> None:
    path = tmp_path / "reviewed.csv"
    path.write_text(
        "text,label,kind,why\n'=ข่าวดี,benign,other,x\n-ลดราคา,benign,marketing,y\nรอ, ,,z\n", encoding="utf-8"
    )
    filed = add(path, [corpus], corpus / "x.jsonl", "x")
    assert [record.text for record in filed.records] == ["=ข่าวดี", "-ลดราคา"]
    assert filed.left_out == [f"{path}:4: it has no label yet"]


def test_a_name_that_was_ever_used_is_not_given_again(tmp_path: Path, corpus: Path) -> None:
    ghost = {**OLD, "id": "x-0001", "text": "ซื้อบัญชีด่วน", "family": "x-0007"}
    (corpus / "x.jsonl").write_text(json.dumps(ghost, ensure_ascii=False) + "\n", encoding="utf-8")
    filed = add(new(tmp_path, {"text": "เครดิตฟรี", "label": "gambling"}), [corpus], corpus / "x.jsonl", "x")
    assert [record.id for record in filed.records] == ["x-0008"]
    read_corpus([corpus])


def test_a_text_held_out_for_judging_is_left_out_with_its_link_or_without(tmp_path: Path, corpus: Path) -> None:
    text = "กดลิงก์ด่วน https://shorty.cc/abcde วันนี้เท่านั้น"
    source = new(tmp_path, {"text": text, "label": "prize"})
    filed = add(source, [corpus], corpus / "x.jsonl", "x", frozenset([text_digest(text)]))
    assert (filed.records, filed.left_out) == ([], [f"{source}:1: the text is held out for judging"])


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("label,text\nloan,แม่บอกว่า, อย่าลืม\n", ":2: 3 cells where the header has 2; is a text with a comma unquoted"),
        ("text,text,label\nก,ข,loan\n", ":1: the column text stands twice"),
        ('text,label\nก,loan\n"ข\nค,loan\n', ":3: unexpected end of data; is a quote missing"),
        ('"text,label\n', ":1: unexpected end of data"),
        ("คุณสมชาย 1234567890123,benign\n", ":1: a header with text and label is needed; it has 2 other columns$"),
        ("", ":1: a header"),
        (
            "text;lable;why\nก;loan;x\n",
            ":1: a header with text and label is needed; it has the columns 'text', 'lable', 'why'$",
        ),
        ("text:label\nก:loan\n", ":1: a header with text and label is needed; it has 1 other columns$"),
        ("label\nloan\n", "it has the columns 'label'$"),
        ("label" + ",x" * 5_000 + "\n", r"it has the columns 'label'(, 'x'){19}, …$"),
        ("label;" + "y" * 5_000 + "\n", r"it has the columns 'label', 'y{12}\.\.\.y{13}'$"),
        (
            "text;label\nแม่บอกว่า; อย่าลืม;loan\n",
            ":2: 3 cells where the header has 2; is a text with a semicolon unquoted",
        ),
        ("text\tlabel\nก\tข\tloan\n", ":2: 3 cells where the header has 2; is a text with a tab unquoted"),
        ("text;text;label\nก;ข;loan\n", ":1: the column text stands twice"),
    ],
)
def test_a_table_that_would_lose_text_is_refused(tmp_path: Path, corpus: Path, table: str, complaint: str) -> None:
    path = tmp_path / "reviewed.csv"
    path.write_text(table, encoding="utf-8")
    with pytest.raises(CorpusError, match=complaint):
        add(path, [corpus], corpus / "x.jsonl", "x")


@pytest.mark.parametrize("target", ["adir", "adir/../old.jsonl/x", "x" * 300])
def test_a_target_that_cannot_be_written_is_named_and_nothing_is_left(
    tmp_path: Path, corpus: Path, target: str
) -> None:
    (tmp_path / "adir").mkdir()
    source = new(tmp_path, {"text": "รับซื้อบัญชีม้า", "label": "mule_account"})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CorpusError, match="cannot write"):
        add(source, [corpus], (corpus if "old" in target else tmp_path) / target.removeprefix("adir/../"), "x")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_new_corpus_can_be_begun(tmp_path: Path) -> None:
    target = tmp_path / "mine" / "first.jsonl"
    add(new(tmp_path, {"text": "รับซื้อบัญชีม้า", "label": "mule_account"}), [], target, "x")
    assert [record.id for record in read_corpus([target])] == ["first-0001"]


def test_a_spreadsheet_without_header_or_with_an_open_quote_is_named(tmp_path: Path, corpus: Path) -> None:
    path = tmp_path / "reviewed.csv"
    path.write_text("ข้อความ,loan\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=":1: a header with text and label is needed"):
        add(path, [corpus], corpus / "x.jsonl", "x")
    path.write_text('text,label\n"ข้อความ,loan\n', encoding="utf-8")
    with pytest.raises(CorpusError, match="is a quote missing"):
        add(path, [corpus], corpus / "x.jsonl", "x")


def test_a_file_without_a_last_line_break_is_not_damaged(tmp_path: Path, corpus: Path) -> None:
    target = corpus / "old.jsonl"
    target.write_text(target.read_text(encoding="utf-8").rstrip("\n"), encoding="utf-8")
    filed = add(new(tmp_path, {"text": "รับซื้อบัญชีม้า", "label": "mule_account"}), [corpus], target, "x")
    assert target.read_text(encoding="utf-8").endswith(record_line(filed.records[0]))
    assert len(read_corpus([corpus])) == 2
