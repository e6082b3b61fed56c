"""What is recognised, what is left alone, and that checksums decide."""

import pytest

from gnomon._recogniser_numbers import is_inn, is_luhn, is_snils
from gnomon._recognisers import CLASSES, find

ALL = frozenset(CLASSES)


def found(text: str, wanted: frozenset[str] = ALL) -> list[tuple[str, str]]:
    return [(finding.kind, text[finding.start : finding.end]) for finding in find(text, wanted)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "ivan.petrov+shop@mail.example.ru"),
        ("email", "иван@почта.рф"),
        ("phone", "+7 (916) 123-45-67"),
        ("phone", "8 916 123 45 67"),
        ("phone", "89161234567"),
        ("phone", "8(495)123-45-67"),
        ("phone", "(415) 555-2671"),
        ("phone", "+49 30 901820"),
        ("phone", "+44 20 7946 0958"),
        ("card", "4111 1111 1111 1111"),
        ("card", "4111-1111-1111-1111"),
        ("card", "5555555555554444"),
        ("card", "378282246310005"),
        ("card", "2201382000000013"),
        ("iban", "DE89 3704 0044 0532 0130 00"),
        ("iban", "GB82WEST12345698765432"),
        ("iban", "FR14 2004 1010 0505 0001 3M02 606"),
        ("ip", "192.168.1.10"),
        ("ip", "2001:db8::8a2e:370:7334"),
        ("secret", "sk-proj-abcdefghijklmnopqrstuvwx"),
        ("secret", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
        ("secret", "AKIAIOSFODNN7EXAMPLE"),
        ("secret", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP"),
        ("secret", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"),
        ("inn", "7707083893"),
        ("inn", "500100732259"),
        ("snils", "112-233-445 95"),
        ("passport", "45 09 123456"),
        ("passport", "4509 № 123456"),
    ],
)
def test_found_at_any_place(kind: str, text: str) -> None:
    for around in ("{}", "вот: {}.", '("{}")', "a {} b", "it is\n{}\n"):
        assert found(around.format(text)) == [(kind, text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Authorization: Bearer abcdef.123456", "abcdef.123456"),
        ("password: hunter22", "hunter22"),
        ("https://ann:s3cr3t@host/path", "s3cr3t"),
        ('"api_key" = "k-1234567"', "k-1234567"),
        ("Пароль: Qwerty123", "Qwerty123"),
    ],
)
def test_only_the_secret_itself_is_marked(text: str, value: str) -> None:
    assert found(text) == [("secret", value)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23 04:36:27 order 4711, A-10442, 0.0123456789",
        "4111 1111 1111 1112",  # check digit wrong
        "DE88 3704 0044 0532 0130 00",
        "7707083894",
        "112-233-445 96",
        "1234567890123456",  # no issuer
        "127.0.0.1 ::1 0.0.0.0 v1.2.3 300.1.1.1 12:30:45 std::vector a::b",
        "550e8400-e29b-41d4-a716-446655440000",
        "@decorator user@localhost a@b",
        "I have a secret: no. The token count is 12. The password is short",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
        "4509 123456",  # no word says that it is a passport
        "x" * 5000,
        "1." * 2000,
    ],
)
def test_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_word_before_it_makes_ten_digits_a_passport() -> None:
    assert found("паспорт 4509 123456") == [("passport", "4509 123456")]


def test_only_what_is_wanted() -> None:
    text = "ann@x.org 89161234567 192.168.1.10"
    assert found(text, frozenset({"ip"})) == [("ip", "192.168.1.10")]
    assert found(text, frozenset()) == []


def test_a_number_beside_a_card_does_not_hide_it() -> None:
    assert found("4111 1111 1111 1111 12/27") == [("card", "4111 1111 1111 1111")]


def test_many_in_one_text_in_order() -> None:
    text = "ИНН 7707083893, СНИЛС 112-233-445 95, карта 4111111111111111, тел. 8 916 123-45-67, a@b.ru"
    assert [kind for kind, _ in found(text)] == ["inn", "snils", "card", "phone", "email"]


@pytest.mark.parametrize(
    "text", ["a@" * 20_000, "1 " * 40_000, "+" * 50_000, "a." * 30_000 + "@b", ":" * 50_000]
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    # A quadratic scan of these takes minutes; the test's own timeout is the suite's patience.
    assert found(text) == []


def test_checksums() -> None:
    assert is_luhn("79927398713") and not is_luhn("79927398710")
    assert is_inn("7707083893") and is_inn("500100732259") and not is_inn("500100732258")
    assert not is_inn("123") and not is_snils("123") and not is_snils("00000000000")
    assert is_snils("11223344595") and not is_snils("11223344596")


@pytest.mark.parametrize("check", [is_luhn, is_inn, is_snils])
def test_each_wrong_digit_is_noticed(check: object) -> None:
    good = {is_luhn: "4111111111111111", is_inn: "500100732259", is_snils: "11223344595"}[check]  # type: ignore[index]
    for place, digit in enumerate(good):
        wrong = good[:place] + str((int(digit) + 1) % 10) + good[place + 1 :]
        assert not check(wrong), wrong  # type: ignore[operator]
