import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.corpus.spreadsheet import guarded, unguarded, write_table
from train.errors import CorpusError


@given(st.text(alphabet=st.sampled_from("'=+-@＝＋\t\r\n 0123ก/,")) | st.text())
def test_every_text_comes_back_from_its_cell(text: str) -> None:
    assert unguarded(guarded(text)) == text


@pytest.mark.parametrize(
    "text", ["=1+1", "+66 81", "-50%", "@line", "\t=x", "  =1", "＝1", "\r=1", "1/2", "08-1234", "'=1"]
)
def test_what_a_spreadsheet_would_misread_begins_with_an_apostrophe(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["สวัสดี", "'ก'", "10 โปรเด็ดวันนี้เท่านั้น รับสิทธิ์เลย", "ก=1", ""])
def test_other_texts_stand_as_they_are(text: str) -> None:
    assert guarded(text) == unguarded(text) == text


def test_a_cell_whose_apostrophe_was_swallowed_keeps_its_sign() -> None:
    assert unguarded("=1+1") == "=1+1"


def test_a_table_begins_with_the_mark_that_excel_needs(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "t.csv"
    write_table(path, ("text", "risk"), [{"text": '=A1,"x"\nก', "risk": -0.5, "more": 1}])
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [["text", "risk"], ['\'=A1,"x"\nก', "-0.5"]]
    assert [each.name for each in path.parent.iterdir()] == ["t.csv"]


def test_a_table_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(CorpusError, match="cannot write"):
        write_table(path, ("text",), [{"text": "\ud83d"}])
    assert (path.read_text(encoding="utf-8"), len(list(tmp_path.iterdir()))) == ("old", 1)
    with pytest.raises(CorpusError, match="cannot write"):
        write_table(path / "below", ("text",), [])
