"""What people ask a shop, and what a shop says: the texts of the demo in three languages.

Placeholders: ``{order}`` an order number, ``{item}`` an article, ``{size}`` a size.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing people ask about, in one language.

    `stems` are lower-case word beginnings by which a question is recognised; `facts` are the
    sentences an answer is made of, the most important first.
    """

    key: str
    language: str
    stems: tuple[str, ...]
    questions: tuple[str, ...]
    facts: tuple[str, ...]


ENGLISH: Final = (
    Topic(
        key="returns",
        language="en",
        stems=("return", "refund", "send back", "money back", "exchange"),
        questions=(
            "How do I return the {item} I bought last week?",
            "The {item} from order {order} does not fit me. Can I get my money back?",
            "What is your return policy for sale items?",
            "I want to exchange my {item} for size {size}, what do I do?",
        ),
        facts=(
            "You can return any unworn article within 30 days of delivery, free of charge.",
            "Print the return label from your account under Orders and drop the parcel at any pick-up point.",
            "We refund the original payment method within 3 to 5 working days after the parcel reaches us.",
            "Articles marked as final sale and opened underwear cannot be returned.",
            "For an exchange, order the new size first and return the old one: it ships the same day.",
        ),
    ),
    Topic(
        key="delivery",
        language="en",
        stems=("deliver", "ship", "courier", "express"),
        questions=(
            "How long does delivery to Vienna take?",
            "Do you ship to Norway, and what does it cost?",
            "Can I have the {item} delivered by Friday?",
            "Is express shipping available for a {item}?",
        ),
        facts=(
            "Standard delivery takes 2 to 4 working days within the EU and costs 4.90 EUR.",
            "Delivery is free for orders above 60 EUR.",
            "Express delivery arrives the next working day when you order before 14:00; it costs 12.90 EUR.",
            "We ship to Norway, Switzerland and the UK in 4 to 7 working days; customs are paid at checkout.",
            "You receive a tracking link by e-mail as soon as the parcel leaves our warehouse.",
        ),
    ),
    Topic(
        key="sizes",
        language="en",
        stems=("size", "run small", "wear", "tall", "chest", "measure"),
        questions=(
            "I am 182 cm tall, which size of the {item} should I take?",
            "Does the {item} run small? I usually wear {size}.",
            "What chest width does size {size} of the {item} have?",
        ),
        facts=(
            "Our cuts are true to size: take the one you usually wear.",
            "Size M fits a chest of 96 to 101 cm, size L one of 102 to 107 cm.",
            "If you are between two sizes, the larger one is more comfortable, the smaller one sits closer.",
            "Linen gives way by about half a size after the first wash.",
            "Every article page has a table with the measures of the finished garment.",
        ),
    ),
    Topic(
        key="order_status",
        language="en",
        stems=("where is", "status", "track", "parcel", "my order"),
        questions=(
            "Where is my order {order}?",
            "What is the status of {order}? It was due yesterday.",
            "Can you track parcel {order} for me?",
        ),
        facts=(
            "Your parcel has left our warehouse and is with the carrier.",
            "It should reach you within 2 working days.",
            "The tracking page is updated every four hours, so it may lag behind.",
            "If it has not arrived by then, tell us and we start a search with the carrier.",
        ),
    ),
    Topic(
        key="payment",
        language="en",
        stems=("pay", "invoice", "card", "charged", "voucher", "discount"),
        questions=(
            "Why was my card charged twice for order {order}?",
            "Can I pay for the {item} by invoice?",
            "My voucher does not work on the {item}, why?",
        ),
        facts=(
            "We accept cards, PayPal, bank transfer and payment by invoice within 14 days.",
            "A second charge is usually a reservation that your bank releases within 48 hours.",
            "Vouchers do not apply to articles that are already reduced.",
            "You find every invoice as a PDF in your account under Orders.",
        ),
    ),
    Topic(
        key="warranty",
        language="en",
        stems=("broken", "broke", "defect", "warranty", "torn", "repair", "zip"),
        questions=(
            "The zip of my {item} broke after two weeks. What now?",
            "Is there a warranty on the {item}?",
            "My {item} arrived torn, order {order}.",
        ),
        facts=(
            "I am sorry about that: a defect within two years is covered by our warranty.",
            "Send us a photo of the damage and the order number, and we answer within one working day.",
            "We repair the article, replace it, or refund you in full, as you prefer.",
            "Shipping for warranty cases is always free.",
        ),
    ),
)

GERMAN: Final = (
    Topic(
        key="returns",
        language="de",
        stems=("zurück", "rückgabe", "umtausch", "retoure", "erstatt"),
        questions=(
            "Wie kann ich die {item} aus Bestellung {order} zurückschicken?",
            "Wie lange habe ich Zeit für den Umtausch in Größe {size}?",
        ),
        facts=(
            "Ungetragene Artikel können Sie innerhalb von 30 Tagen nach Lieferung kostenlos zurückgeben.",
            "Das Rücksendeetikett finden Sie in Ihrem Konto unter Bestellungen.",
            "Der Betrag wird 3 bis 5 Werktage nach Eingang des Pakets erstattet.",
            "Reduzierte Einzelstücke sind vom Umtausch ausgeschlossen.",
        ),
    ),
    Topic(
        key="delivery",
        language="de",
        stems=("liefer", "versand", "ankommen", "zustell"),
        questions=(
            "Wie lange dauert die Lieferung nach Zürich?",
            "Was kostet der Versand für eine {item}?",
        ),
        facts=(
            "Der Standardversand dauert 2 bis 4 Werktage und kostet 4,90 EUR.",
            "Ab 60 EUR Bestellwert liefern wir versandkostenfrei.",
            "Expresslieferungen kommen am nächsten Werktag an, wenn Sie bis 14 Uhr bestellen.",
            "In die Schweiz dauert es 4 bis 7 Werktage, der Zoll ist im Preis enthalten.",
        ),
    ),
    Topic(
        key="sizes",
        language="de",
        stems=("größe", "passt", "fällt", "brust"),
        questions=(
            "Fällt die {item} klein aus? Ich trage sonst {size}.",
            "Welche Größe passt bei 176 cm?",
        ),
        facts=(
            "Unsere Schnitte fallen normal aus: Nehmen Sie Ihre gewohnte Größe.",
            "Größe M entspricht einem Brustumfang von 96 bis 101 cm.",
            "Zwischen zwei Größen sitzt die größere bequemer.",
        ),
    ),
)

RUSSIAN: Final = (
    Topic(
        key="returns",
        language="ru",
        stems=("верн", "возврат", "обмен", "деньги"),
        questions=(
            "Здравствуйте! Как вернуть товар из заказа {order}?",
            "Можно ли обменять на размер {size}? Чек потерялся 😕",
            "Сколько дней идёт возврат денег на карту?",
        ),
        facts=(
            "Вернуть неношеный товар можно бесплатно в течение 30 дней после получения.",
            "Этикетка для возврата находится в личном кабинете, в разделе «Заказы».",
            "Деньги вернутся на карту через 3–5 рабочих дней после получения посылки.",
            "Обмен оформляется так же: закажите нужный размер и отправьте старый обратно.",
        ),
    ),
    Topic(
        key="delivery",
        language="ru",
        stems=("достав", "курьер", "приед", "пункт"),
        questions=(
            "Сколько стоит доставка в Ригу?",
            "Когда приедет курьер с заказом {order}?",
        ),
        facts=(
            "Обычная доставка занимает 2–4 рабочих дня и стоит 4,90 EUR.",
            "При заказе от 60 EUR доставка бесплатная.",
            "Курьер звонит за час до приезда.",
            "Ссылка для отслеживания приходит на почту, как только посылка покинет склад.",
        ),
    ),
    Topic(
        key="sizes",
        language="ru",
        stems=("размер", "маломер", "рост", "подойд"),
        questions=(
            "Какой размер подойдёт при росте 170 см?",
            "Рубашка маломерит? Обычно ношу {size}.",
        ),
        facts=(
            "Модели соответствуют размеру: берите тот, который носите обычно.",
            "Размер M рассчитан на обхват груди 96–101 см.",
            "Если вы между размерами, больший будет свободнее.",
        ),
    ),
)

TOPICS: Final = ENGLISH + GERMAN + RUSSIAN

ITEMS: Final[dict[str, tuple[str, ...]]] = {
    "en": ("linen shirt", "wool coat", "rain jacket", "denim jeans", "merino sweater", "trail shoes"),
    "de": ("Leinenbluse", "Regenjacke", "Wolljacke", "Jeans"),
    "ru": ("рубашка", "куртка", "джинсы"),
}
SIZES: Final = ("S", "M", "L", "XL")

OPENINGS: Final[dict[str, tuple[str, ...]]] = {
    "en": ("Thanks for your message.", "Happy to help!", "Good question.", ""),
    "de": ("Danke für Ihre Nachricht.", "Gern helfe ich Ihnen.", ""),
    "ru": ("Спасибо за обращение!", "Здравствуйте!", ""),
}
CLOSINGS: Final[dict[str, tuple[str, ...]]] = {
    "en": ("Is there anything else I can do for you?", "Have a nice day!", ""),
    "de": ("Kann ich sonst noch etwas für Sie tun?", ""),
    "ru": ("Могу ли я ещё чем-то помочь? 🙂", ""),
}
PROMISES: Final[dict[str, tuple[str, ...]]] = {
    "en": (
        "As a thank-you we add a voucher of 25 EUR to your account.",
        "Our stylist will call you tonight and choose three outfits for free.",
    ),
    "de": ("Als Dankeschön schenken wir Ihnen einen Gutschein über 25 EUR.",),
    "ru": ("В знак благодарности мы дарим вам купон на 2000 рублей.",),
}
TOOL_ANSWERS: Final[dict[str, str]] = {
    "en": "Your order {order} is {state} with {carrier} and should arrive on {eta}.",
    "de": "Ihre Bestellung {order} ist {state} ({carrier}) und sollte am {eta} eintreffen.",
    "ru": "Ваш заказ {order}: {state}, перевозчик {carrier}, ожидаемая дата {eta}.",
}
