"""The demo upstream's products: every field of the retailer API's records, made from an item's id alone.

The same id gives the same product in every process; only its prices move, by one step for each live fetch.
"""

from datetime import date, timedelta
from hashlib import blake2b
from typing import Any, Final

Record = dict[str, Any]

EXAMPLE: Final = "19667262713"
LISTED: Final = (EXAMPLE, "10450114", "55126307", "831928401", "4471920563")

_EXAMPLE_FACTS: Final[Record] = {
    "upc": "086279195869",
    "ean": None,
    "isbn": None,
    "gtin": "00086279195869",
    "asin": None,
    "model": "EP-PC8",
    "brand": "Cooks Essentials",
    "title": "Cooks Essentials EP-PC8 Pressure Cooker",
    "secondary_offer_price": None,
    "msrp": 79.99,
}
_EXAMPLE_PRICE: Final = 4900
_WORDS: Final = (
    ("Northwind", "Harbor Mill", "Alder", "Quill & Oak", "Brightside", "Fjord"),
    ("Compact", "Digital", "Cordless", "Stainless", "Folding", "Classic"),
    ("Kettle", "Desk Lamp", "Backpack", "Toolbox", "Blender", "Tent"),
)
_SHELVES: Final = ("Home", "Kitchen", "Outdoors", "Office", "Garden")
_SELLERS: Final = ("Blue Crate", "Parcel & Co", "Everyday Goods", "Second Shelf")
_PERCENT: Final = (0, -3, 2, -1, 4, -2, 3, -4, 1)


def known(item_id: str) -> bool:
    """Whether the catalogue has this id: digits that do not start with 0."""
    return item_id.isascii() and item_id.isdigit() and item_id[0] != "0"


def price(item_id: str, fetch: int) -> float:
    """Dollars asked at the item's live fetch number `fetch`, counted from 0; two fetches in a row always differ."""
    cents = _EXAMPLE_PRICE if item_id == EXAMPLE else 500 + draw(item_id, "price", 20_000)
    return (cents + cents * _PERCENT[fetch % len(_PERCENT)] // 100) / 100


def product(item_id: str, fetch: int, today: date, *, offers: bool = False, reviews: bool = False) -> Record:
    """The record of one live fetch, its fields in the seed's order (seeds/retailerapi-refresh).

    Without `offers` the lists `offers` and `price_history` are empty; without `reviews` `review_summary` is null.
    """
    asked = price(item_id, fetch)
    record = _identity(item_id) | _prices(item_id, asked) | _body(item_id) | _sale(item_id)
    record |= _EXAMPLE_FACTS if item_id == EXAMPLE else {}
    record["offers"] = _offers(item_id, asked) if offers else []
    record["price_history"] = _history(item_id, fetch, today) if offers else []
    record["stats"] = {"low_30d": _cents(asked * 0.93), "high_30d": _cents(asked * 1.08), "avg_30d": asked}
    record["review_summary"] = _reviews(record) if reviews else None
    return record


def listing(query: str) -> list[Record]:
    """Short records of the listed products whose title holds `query`, in any case."""
    titled = ((item_id, str(_titled(item_id)["title"])) for item_id in LISTED)
    return [{"item_id": item_id, "title": title} for item_id, title in titled if query.lower() in title.lower()]


def draw(thing: str, what: str, sides: int) -> int:
    """A number from 0 to `sides` - 1 that depends on nothing but its arguments."""
    digest = blake2b(f"{thing} {what}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % sides


def _cents(dollars: float) -> float:
    return round(dollars, 2)


def _titled(item_id: str) -> Record:
    brand, kind, thing = (words[draw(item_id, words[0], len(words))] for words in _WORDS)
    model = f"{thing[:2].upper()}-{draw(item_id, 'model', 900) + 100}"
    made = {"model": model, "title": f"{brand} {kind} {thing}", "brand": brand}
    return made | ({k: _EXAMPLE_FACTS[k] for k in made} if item_id == EXAMPLE else {})


def _identity(item_id: str) -> Record:
    upc = f"{draw(item_id, 'upc', 10**12):012}"
    codes: Record = {"item_id": item_id, "upc": upc, "ean": "0" + upc, "isbn": None, "gtin": "00" + upc}
    codes |= {"asin": f"B0{draw(item_id, 'asin', 10**8):08}", "mpn": f"MP{draw(item_id, 'mpn', 10**6):06}"}
    titled = _titled(item_id)
    return (
        codes
        | titled
        | {
            "image_url": f"https://images.example/products/{item_id}.jpg",
            "description": f"{titled['title']}, model {titled['model']}.",
        }
    )


def _prices(item_id: str, asked: float) -> Record:
    return {
        "current_price": asked,
        "buybox_price": asked,
        "secondary_offer_price": _cents(asked * 1.04),
        "msrp": _cents(price(item_id, 0) * (1.2 + draw(item_id, "msrp", 50) / 100)),
    }


def _body(item_id: str) -> Record:
    size = {f"{side}_in": (draw(item_id, side, 240) + 10) / 10 for side in ("height", "width", "length")}
    return {"weight_lbs": (draw(item_id, "weight", 300) + 1) / 10, "dimensions": size}


def _sale(item_id: str) -> Record:
    return {
        "offers_count": draw(item_id, "offers", len(_SELLERS)) + 1,
        **_seller(item_id, 0),
        "average_rating": (draw(item_id, "rating", 25) + 25) / 10,
        "review_count": draw(item_id, "reviews", 5000),
        "categories": [_SHELVES[draw(item_id, "shelf", len(_SHELVES))], "Featured"],
        "walmart_url": f"https://retailer.example/ip/{item_id}",
        "in_stock": draw(item_id, "stock", 10) > 0,
    }


def _seller(item_id: str, offer: int) -> Record:
    number = (draw(item_id, "seller", len(_SELLERS)) + offer) % len(_SELLERS)
    return {"seller_id": f"S{number + 1:04}", "seller_name": _SELLERS[number]}


def _offers(item_id: str, asked: float) -> list[Record]:
    return [
        {
            **_seller(item_id, number),
            "price": _cents(asked * (1 + number * 0.04)),
            "condition": "new",
        }
        for number in range(draw(item_id, "offers", len(_SELLERS)) + 1)
    ]


def _history(item_id: str, fetch: int, today: date) -> list[Record]:
    """The last seven days, the newest first, which is today's price."""
    return [
        {"date": (today - timedelta(days=ago)).isoformat(), "price": price(item_id, fetch - ago)} for ago in range(7)
    ]


def _reviews(record: Record) -> Record:
    return {"average_rating": record["average_rating"], "total_reviews": record["review_count"]}
