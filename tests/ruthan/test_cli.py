import json
import subprocess
import sys
from pathlib import Path

import pytest

from ruthan.cli import main

LURE = "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน แอดไลน์ @easyloan-th"


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "ruthan.cli", *arguments], input=stdin, capture_output=True, timeout=120
    )


def verdicts(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_message_gets_a_verdict_in_input_order_with_its_source(tmp_path: Path) -> None:
    first, second, out = tmp_path / "1.jsonl", tmp_path / "2.csv", tmp_path / "out.jsonl"
    first.write_text("".join(json.dumps({"text": f"{LURE} {n}"}) + "\n" for n in range(3)), encoding="utf-8")
    second.write_bytes("id,ข้อความ\n1,ถึงบ้านยังลูก\n2,".encode("cp874") + LURE.encode("cp874"))
    assert main(["scan", str(first), str(second), "--out", str(out)]) == 0
    found = verdicts(out)
    assert [verdict["source"] for verdict in found] == [
        *({"file": str(first), "line": line} for line in (1, 2, 3)),
        *({"file": str(second), "line": line} for line in (2, 3)),
    ]
    assert [verdict["label"] for verdict in found] == ["loan", "loan", "loan", "benign", "loan"]


def test_bad_rows_are_reported_with_their_place_and_the_rest_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "a.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"text": "หนึ่ง"}\nนี่ไม่ใช่ JSON\n{"text": ""}\n{"text": "สอง"}\n', encoding="utf-8")
    assert main(["scan", str(path), "--out", str(out)]) == 0
    output = capsys.readouterr()
    assert f"{path}:2: not read: not valid JSON" in output.err
    assert "นี่ไม่ใช่" not in output.err
    assert [verdict["source"]["line"] for verdict in verdicts(out)] == [1, 3, 4]  # type: ignore[index]


def test_the_table_shows_the_riskiest_and_the_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"ถึงบ้านยังลูก\n{LURE}\n", encoding="utf-8")
    assert main(["scan", str(path)]) == 0
    output = capsys.readouterr().out
    assert output.index("a.txt:2") < output.index("a.txt:1")
    assert "2 messages: block 1, review 0, allow 1" in output


def test_one_text_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--text", LURE]) == 0
    output = capsys.readouterr().out
    assert "loan" in output
    assert "line_id: @easyloan-th" in output


def test_explain_shows_why_and_json_is_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", LURE]) == 0
    output = capsys.readouterr().out
    for part in ("block", "Warning signs", "Identifiers", "@easyloan-th", "Why", "What to do", "1213"):
        assert part in output
    assert main(["explain", LURE, "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["label"] == "loan"
    assert verdict["words"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp874"])
def test_explain_reads_standard_input(encoding: str) -> None:
    done = run("explain", "-", stdin=LURE.encode(encoding))
    assert (done.returncode, done.stderr) == (0, b"")
    assert "โอนค่า" in done.stdout.decode()


def test_explain_reads_any_bytes_and_an_empty_message() -> None:
    assert run("explain", "-", stdin=b"\xff\xfe\x00\x80\xdb").returncode == 0
    assert "ว่าง" in run("explain", "").stdout.decode()


@pytest.mark.parametrize("arguments", [("scan",), ("scan", "--out", "out.jsonl"), ("scan", "--out", "out.csv")])
def test_a_mask_hides_people_in_all_that_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("กู้ด่วน โทร 081-234-5678 คุณสมชาย ใจดี แอดไลน์ somchai99\n", encoding="utf-8")
    assert main([*arguments, "a.txt", "--mask"]) == 0
    written = capsys.readouterr().out + "".join(path.read_text(encoding="utf-8") for path in Path().glob("out.*"))
    assert "081-xxx-x678" in written
    for secret in ("234-5678", "812345678", "สมชาย", "somchai99"):
        assert secret not in written
    assert main(["explain", "คุณสมชาย ใจดี 081-234-5678", "--mask"]) == 0
    assert "สมชาย" not in capsys.readouterr().out


def test_standard_input_is_scanned_and_a_pipe_sees_no_progress_bar() -> None:
    done = run("scan", "-", stdin=f"ถึงบ้านยังลูก\n{LURE}\n".encode())
    assert done.returncode == 0
    assert b"2 messages" in done.stdout
    assert done.stderr.decode().splitlines() == ["-: plain text, a message a line, by what is in it; valid UTF-8"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "the following arguments are required"),
        (("scan",), "give files to scan"),
        (("scan", "x.csv", "--text", "y"), "give files to scan"),
        (("scan", "no-such-file.csv"), "cannot read no-such-file.csv: No such file"),
        (("scan", "pyproject.toml", "--out", "x.pdf"), "the ending must be one of .jsonl, .csv"),
        (("scan", "pyproject.toml", "--out", "pyproject.toml"), "is one of the files to scan"),
        (("scan", "pyproject.toml", "--model", "nowhere"), "no model bundle at nowhere"),
        (("scan", "pyproject.toml", "--policy", "nowhere"), "cannot read the policy nowhere"),
        (("scan", "data/samples/inbox-cp874.csv", "--text-column", "nope"), "no column 'nope'"),
        (("scan", "data/samples/inbox-cp874.csv", "--out", "nowhere/x.csv"), "there is no folder nowhere"),
        (("scan", "data/samples/inbox-cp874.csv", "--out", "-"), "--out - is no file"),
    ],
)
def test_wrong_usage_and_unreadable_input_exit_with_2_and_one_clear_line(
    arguments: tuple[str, ...], complaint: str
) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m ruthan.cli scan data/samples/chats.jsonl | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, timeout=120)
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr


def test_help_loads_no_model_runtime() -> None:
    code = "import sys; from ruthan.cli import parser; parser().format_help(); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.decode().split()
    assert not {"onnxruntime", "numpy", "tokenizers", "pythainlp", "rich", "torch"} & set(modules)


def test_scanning_loads_neither_torch_nor_transformers_nor_train_nor_serve() -> None:
    code = "import sys; from ruthan import Scanner; Scanner().scan('สวัสดี'); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.decode().split()
    assert not {"torch", "transformers", "sklearn", "fastapi", "train", "serve"} & set(modules)
