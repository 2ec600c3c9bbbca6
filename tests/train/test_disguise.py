import re
import time
from random import Random

import pytest

from ruthan.text.normalize import normalize
from train.corpus.near_duplicates import skeleton
from train.disguise import DISGUISES, disguise, disguise_somehow

TEXT = "รับสมัครงาน ทำที่บ้าน แต่ได้เงินวันละ 1,500 บาท แอดไลน์ @joy.2020 ดูที่ https://bit.ly/Ab1 {phone} a@b.co"
# Undone by normalising, so that a model never sees them.
UNDONE = ("zero_width", "double_sara_e", "split_sara_am", "thai_digits", "full_width")


@pytest.mark.parametrize("technique", DISGUISES)
def test_the_same_seed_gives_the_same_disguise(technique: str) -> None:
    assert disguise(TEXT, technique, 0.5, Random(1)) == disguise(TEXT, technique, 0.5, Random(1))


@pytest.mark.parametrize("technique", DISGUISES)
def test_strength_runs_from_nothing_to_much(technique: str) -> None:
    assert disguise(TEXT, technique, 0, Random(1)) == TEXT

    def changed(strength: float) -> int:
        return sum(disguise(TEXT, technique, strength, Random(seed)) != TEXT for seed in range(40))

    assert changed(1) >= changed(0.2)
    assert changed(1) >= 30


@pytest.mark.parametrize("technique", [name for name in DISGUISES if name != "split_links"])
def test_links_ids_addresses_and_slots_are_left_as_they_are(technique: str) -> None:
    for seed in range(20):
        text = disguise(TEXT, technique, 1, Random(seed))
        for kept in ("@joy.2020", "https://bit.ly/Ab1", "{phone}", "a@b.co"):
            assert kept in text


@pytest.mark.parametrize("technique", UNDONE)
def test_what_normalising_knows_it_undoes(technique: str) -> None:
    assert normalize(disguise(TEXT, technique, 1, Random(1))).text == normalize(TEXT).text


@pytest.mark.parametrize("technique", ["letter_spacing", "dots", "emoji"])
def test_the_letters_are_still_there(technique: str) -> None:
    assert skeleton(disguise(TEXT, technique, 1, Random(1))) == skeleton(TEXT)


def test_disguises_look_like_those_seen_in_real_messages() -> None:
    assert disguise("โบนัส", "latin_letters", 1, Random(1)) == "โUuัa"
    assert disguise("เกมส์", "letter_spacing", 1, Random(1)) == "เ ก ม ส์"
    assert disguise("100", "letters_for_digits", 1, Random(1)).startswith(("l", "I", "|"))
    assert disguise("สมัครงาน", "karaoke", 1, Random(1)).strip() == "samaknngan"
    assert not re.search("[่-๋]", disguise("ไม่ต้องเสียค่าใช้จ่าย", "tone_loss", 1, Random(1)))
    assert not re.search(r"https://bit\.ly/Ab1", disguise(TEXT, "split_links", 1, Random(1)))


def test_any_text_can_be_disguised(hostile: str) -> None:
    for technique in DISGUISES:
        disguise(hostile[:2_000], technique, 0.5, Random(1))
    disguise_somehow(hostile[:2_000], Random(1))


@pytest.mark.parametrize("text", ["1" * 100_000, "ก" * 100_000, "โอน1" * 20_000, "่" * 50_000])
def test_no_text_stalls_it(text: str) -> None:
    began = time.perf_counter()
    for technique in ("dots", "emoji", "karaoke"):
        disguise(text, technique, 0.5, Random(1))
    assert time.perf_counter() - began < 60


def test_an_unknown_technique_and_a_strength_out_of_range_are_errors() -> None:
    with pytest.raises(KeyError):
        disguise(TEXT, "magic", 0.5, Random(1))
    with pytest.raises(ValueError, match="strength is 2"):
        disguise(TEXT, "dots", 2, Random(1))
