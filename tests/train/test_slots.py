import re
from random import Random

import pytest

from train.slots import FILLERS, fill_slots, slot_errors

ALL = (
    "{phone} {landline} {shortlink} {link} {lookalike:KBANK} {official:KBANK} "
    "{lineid} {lineoa} {account} {otp} {ref} {plate}"
)


def test_the_same_seed_gives_the_same_text_and_another_gives_another() -> None:
    assert fill_slots(ALL, Random(1)) == fill_slots(ALL, Random(1))
    assert fill_slots(ALL, Random(1)) != fill_slots(ALL, Random(2))


@pytest.mark.parametrize("blur", [False, True])
def test_no_slot_is_left_over(blur: bool) -> None:
    for seed in range(200):
        assert not re.search(r"[{}]", fill_slots(ALL, Random(seed), blur=blur))


@pytest.mark.parametrize(
    ("slot", "pattern"),
    [
        ("{phone}", r"(0[689]\d[- ]?\d{3}[- ]?\d{4}|\+66[689]\d{8})"),
        ("{landline}", r"0[2-7][\d -]{7,9}"),
        ("{otp}", r"\d{4}|\d{6}"),
        ("{official:KBANK}", r"(https?://|www\.)?kasikornbank\.com(/\w+)?"),
        ("{official:kbank}", r"(https?://|www\.)?kasikornbank\.com(/\w+)?"),
        ("{lookalike:SCB}", r".*scb.*"),
        ("{lineoa}", r"@[a-z0-9]+"),
        ("{plate}", r"\d?[ก-ฮ]{2} \d{1,4}"),
    ],
)
def test_values_look_like_what_they_stand_for(slot: str, pattern: str) -> None:
    for seed in range(200):
        value = fill_slots(slot, Random(seed))
        assert re.fullmatch(pattern, value), value


def test_a_lookalike_is_never_the_real_domain() -> None:
    for seed in range(500):
        assert not re.search(r"(^|[/.])scb\.co\.th", fill_slots("{lookalike:SCB}", Random(seed)))


def test_blurring_hides_which_kind_of_link_stood_there() -> None:
    values = [fill_slots("{official:SCB}", Random(seed), blur=True) for seed in range(300)]
    blurred = sum("scb.co.th" not in value for value in values)
    assert 60 < blurred < 150


def test_unknown_slots_and_stray_braces_are_errors() -> None:
    assert slot_errors(ALL) == []
    assert slot_errors("{email}") == ["unknown slot {email}"]
    assert slot_errors("{phone") == ["a brace that belongs to no slot"]
    assert set(re.findall(r"\{([a-z]+)", ALL)) == set(FILLERS)
