"""The language of what people ask."""

from __future__ import annotations

import pytest

from gnomon_collector.store.engine import Store
from gnomon_schemas.language import LATIN, call_language, common_words, language

SAID = {
    "en": [
        *("What is the capital of France?", "Where is my order 4711?", "Hi, can you help me?"),
        *(
            "Please write a function that sorts a list",
            "How do I translate the word привет into German or French?",
        ),
    ],
    "de": [
        "Wo ist meine Bestellung 4711?",
        "Wie kann ich das zurückgeben?",
        "Was kostet der Versand nach Wien?",
    ],
    "fr": ["Où est ma commande ?", "Comment puis-je retourner cet article ?"],
    "es": ["¿Dónde está mi pedido?", "Cómo puedo devolver este producto", "Cuál es la capital de Francia"],
    "pt": ["Onde está o meu pedido?", "Qual é a capital da França?", "Não consigo entrar na minha conta"],
    "it": ["Dov'è il mio ordine?", "Come posso restituire questo prodotto?"],
    "nl": ["Waar is mijn bestelling?", "Wat is de hoofdstad van Frankrijk?"],
    "sv": ["Var är min beställning?", "Hur kan jag lämna tillbaka den här varan?"],
    "da": ["Hvor er min bestilling?", "Hvordan kan jeg returnere denne vare?"],
    "pl": ["Gdzie jest moje zamówienie?", "Jak mogę zwrócić ten produkt?"],
    "cs": ["Kde je moje objednávka?", "Jak mohu vrátit tento výrobek?"],
    "ro": ["Unde este comanda mea?", "Cum pot returna acest produs?"],
    "tr": ["Siparişim nerede?", "Bu ürünü nasıl iade edebilirim?"],
    "fi": ["Missä tilaukseni on?", "Miten voin palauttaa tämän tuotteen?"],
    "hu": ["Hol van a rendelésem?", "Hogyan küldhetem vissza ezt a terméket?"],
    "id": ["Di mana pesanan saya?", "Bagaimana saya bisa mengembalikan produk ini?"],
    "ru": ["Где мой заказ?", "Как вернуть товар iPhone 15 Pro?"],
    "uk": ["Де моє замовлення і як його повернути?"],
    "sr": ["Где је моја поруџбина и како да је вратим?"],
    "be": ["Дзе мой заказ і як яго вярнуць? Ён яшчэ не прыйшоў"],
    "zh": ["我的订单在哪里？"],
    "ja": ["注文はどこですか？", "サイズ"],
    "ko": ["제 주문은 어디에 있나요?"],
    "ar": ["أين طلبي؟"],
    "fa": ["سفارش من کجاست؟ چگونه"],
    "he": ["איפה ההזמנה שלי?"],
    "el": ["Πού είναι η παραγγελία μου;"],
    "hi": ["मेरा ऑर्डर कहाँ है?"],
    "th": ["คำสั่งซื้อของฉันอยู่ที่ไหน"],
    "": ["", "4711", "{}", "Weather?", "\U0001f384\U0001f384", "\x00", "la", "x" * 500],
}


@pytest.mark.parametrize("code", SAID)
def test_language(store: Store, code: str) -> None:
    sql = f"SELECT {language('text')} FROM (SELECT {{text:String}} AS text)"
    found = {text: store.query(sql, {"text": text}).rows[0][0] for text in SAID[code]}
    assert found == dict.fromkeys(SAID[code], code)


def test_a_short_question_is_told_by_its_answer(store: Store) -> None:
    sql = f"SELECT {call_language('asked', 'answered')} FROM (SELECT {{a:String}} AS asked, {{b:String}} AS answered)"
    told = [
        store.query(sql, {"a": asked, "b": answered}).rows[0][0]
        for asked, answered in (
            ("Öffnungszeiten?", "Wir haben von 9 bis 18 Uhr für Sie geöffnet."),
            ("Что такое a list comprehension?", "A list comprehension is a way to write a loop."),
            ("Please translate this into Russian for me", "Где мой заказ?"),
        )
    ]
    assert told == ["de", "ru", "en"]


def test_every_language_has_enough_words_of_its_own() -> None:
    own = {code: [word for word, codes in common_words().items() if codes == (code,)] for code in LATIN}
    assert min(map(len, own.values())) >= 20
    assert {code for codes in common_words().values() for code in codes} == set(LATIN)
