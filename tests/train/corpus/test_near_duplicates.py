import pytest

from train.corpus.near_duplicates import clusters, near_duplicates, skeleton, text_digest

ONE = "ยินดีด้วยค่ะ คุณได้รับสิทธิ์กู้เงิน 50,000 บาท แอดไลน์เพื่อยืนยันวันนี้"
SAME = "ยินดีด้วยค่ะ!! คุณได้รับสิทธิ์กู้เงิน 30,000 บาท แอดไลน์เพื่อยืนยันวันนี้ 🎉"
OTHER = "พรุ่งนี้ฝนจะตกหนักทั่วภาคใต้ ชาวเรือควรระวังคลื่นลม"


@pytest.mark.parametrize(
    "disguised",
    [SAME, ONE.replace(" ", ""), ONE.replace("แ", "เเ"), ONE.replace("กู้", "กู้\u200b"), ONE + " {phone} {link}"],
)
def test_numbers_blanks_slots_and_disguises_make_no_difference(disguised: str) -> None:
    assert skeleton(disguised) == skeleton(ONE)
    assert text_digest(disguised) == text_digest(ONE)


def test_thai_marks_are_letters() -> None:
    assert skeleton("กู้ กี่ กำ") == "กู้กี่กำ"


def test_what_says_nearly_the_same_is_found_and_what_does_not_is_not() -> None:
    texts = [OTHER, ONE, "ยินดีด้วยค่ะ คุณได้รับสิทธิ์กู้เงิน แอดไลน์เพื่อยืนยันภายในวันนี้เท่านั้น"]
    assert [(one, other) for one, other, _ in near_duplicates(texts, 0.5)] == [(1, 2)]
    assert clusters(texts, 0.5) == [0, 1, 1]


def test_a_chain_of_likenesses_is_one_cluster() -> None:
    words = [f"คำ{letter}า{letter}ี{letter}ู" for letter in "กขคงจฉชซฌญดตถทธน"]
    chain = ["".join(words[at : at + 8]) for at in range(0, 9, 2)]
    assert set(clusters(chain, 0.5)) == {0}


@pytest.mark.parametrize("text", ["", " ", "123", "😀", "ก", "\ud83d"])
def test_texts_without_letters_are_no_trouble(text: str) -> None:
    assert len(text_digest(text)) == 16
    assert clusters([text, OTHER], 0.5) == [0, 1]


def test_texts_without_letters_are_alike_only_if_they_are_the_same() -> None:
    assert clusters(["123456", "🔥", "99", "🔥"], 0.5) == [0, 1, 2, 1]
