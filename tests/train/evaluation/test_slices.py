from train.evaluation.slices import domain_slices, length_bucket, link_domains


def test_links_are_compared_by_registrable_domain() -> None:
    texts = [
        "ไม่มี",
        "กด https://a.example-shop.cc/x",
        "กด https://b.example-shop.cc/y",
        "ดู bit.ly/1 และ new-place.top/2",
    ]
    assert link_domains(texts[1:3]) == {"example-shop.cc"}
    trained = frozenset({"example-shop.cc", "bit.ly"})
    assert domain_slices(texts, trained) == ["no link", "seen in training", "seen in training", "seen in training"]
    assert domain_slices(texts[3:], frozenset()) == ["not in training"]


def test_a_link_into_a_chat_app_has_the_domain_of_the_app() -> None:
    assert link_domains(["แอด line.me/ti/p/~abc12"]) == {"line.me"}


def test_every_length_has_one_bucket() -> None:
    assert length_bucket("") == length_bucket("ก" * 40) == "0 to 40 characters"
    assert length_bucket("ก" * 41) == "41 to 80 characters"
    assert length_bucket("ก" * 641) == "over 640 characters"
