from ruthan.evidence.disguises import find_disguises
from ruthan.text.normalize import normalize


def test_a_disguise_is_reported_with_what_it_reads() -> None:
    text = "กด โuนัa ที่ ส.มั.ค.ร"
    found = [(each.type, each.text, each.value, each.start) for each in find_disguises(normalize(text), text)]
    assert found == [("letters_in_words", "โuนัa", "โบนัส", 3), ("dotted_words", "ส.มั.ค.ร", "สมัคร", 13)]


def test_typing_habits_are_no_disguise() -> None:
    text = "เเจ้ง  นํ้าท่วม\u200b มากกกก ๑๒๓ ＡＢ"
    assert normalize(text).changes
    assert find_disguises(normalize(text), text) == ()


def test_hostile_text_is_no_trouble(hostile: str) -> None:
    for each in find_disguises(normalize(hostile), hostile):
        assert hostile[each.start : each.end] == each.text
