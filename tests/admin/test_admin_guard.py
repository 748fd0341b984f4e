"""Who is let in to the operators' API, by the fields of the request alone."""

import pytest
from multidict import CIMultiDict

from gateway.admin.guard import Guard, refuse_form, refuse_unmarked
from gateway.admin.refusals import Denied, Refusal

TOKEN = "s3cret-tökén"
LOCAL = ("Host", "127.0.0.1:9180")


def refusal(token: str, *fields: tuple[str, str]) -> Refusal | None:
    try:
        Guard(token).refuse(CIMultiDict(fields))
    except Denied as denied:
        return denied.refusal
    return None


WITH_TOKEN = {
    "the token": ([("Authorization", f"Bearer {TOKEN}")], None),
    "scheme in any case": ([("authorization", f"bEARER  {TOKEN} ")], None),
    "from a site elsewhere": ([("Authorization", f"Bearer {TOKEN}"), ("Origin", "https://ops.example")], None),
    "none": ([LOCAL], Refusal.token_required),
    "empty": ([("Authorization", "Bearer ")], Refusal.token_required),
    "another scheme": ([("Authorization", f"Basic {TOKEN}")], Refusal.token_required),
    "without a scheme": ([("Authorization", TOKEN)], Refusal.token_required),
    "wrong": ([("Authorization", f"Bearer {TOKEN}x")], Refusal.token_wrong),
    "a part of it": ([("Authorization", f"Bearer {TOKEN[:-1]}")], Refusal.token_wrong),
    "stray bytes": ([("Authorization", "Bearer \udcff")], Refusal.token_wrong),
    "twice": ([("Authorization", f"Bearer {TOKEN}")] * 2, Refusal.malformed),
}


@pytest.mark.parametrize(("fields", "refused"), WITH_TOKEN.values(), ids=WITH_TOKEN)
def test_with_a_token(fields: list[tuple[str, str]], refused: Refusal | None) -> None:
    assert refusal(TOKEN, *fields) is refused


def test_a_refused_token_is_asked_for() -> None:
    with pytest.raises(Denied) as caught:
        Guard(TOKEN).refuse(CIMultiDict())
    assert caught.value.fields == (("WWW-Authenticate", 'Bearer realm="gateway admin"'),)


WITHOUT = {
    "an address": ([LOCAL], None),
    "another loopback address": ([("Host", "127.8.8.8")], None),
    "IPv6": ([("Host", "[::1]:9180")], None),
    "a name": ([("Host", "LOCALHOST.:9180")], None),
    "its own page": ([LOCAL, ("Origin", "http://127.0.0.1:9180"), ("Sec-Fetch-Site", "same-origin")], None),
    "typed by a person": ([LOCAL, ("Sec-Fetch-Site", "none")], None),
    "a name that leads here": ([("Host", "rebound.example:9180")], Refusal.foreign_site),
    "a name like ours": ([("Host", "localhost.rebound.example")], Refusal.foreign_site),
    "an address elsewhere": ([("Host", "192.0.2.1")], Refusal.foreign_site),
    "every address": ([("Host", "0.0.0.0")], Refusal.foreign_site),
    "no host": ([], Refusal.malformed),
    "two hosts": ([LOCAL, ("Host", "localhost")], Refusal.malformed),
    "no host at all": ([("Host", "a b")], Refusal.malformed),
    "another site": ([LOCAL, ("Origin", "https://site.example")], Refusal.foreign_site),
    "another port of ours": ([LOCAL, ("Origin", "http://127.0.0.1:3000")], Refusal.foreign_site),
    "another name of ours": ([LOCAL, ("Origin", "http://localhost:9180")], Refusal.foreign_site),
    "another scheme": ([LOCAL, ("Origin", "https://127.0.0.1:9180")], Refusal.foreign_site),
    "a site that hides": ([LOCAL, ("Origin", "null")], Refusal.foreign_site),
    "two origins": ([LOCAL, ("Origin", "http://127.0.0.1:9180"), ("Origin", "null")], Refusal.foreign_site),
    "another site without origin": ([LOCAL, ("Sec-Fetch-Site", "cross-site")], Refusal.foreign_site),
    "a sister site": ([LOCAL, ("Sec-Fetch-Site", "same-site")], Refusal.foreign_site),
}


@pytest.mark.parametrize(("fields", "refused"), WITHOUT.values(), ids=WITHOUT)
def test_without_a_token(fields: list[tuple[str, str]], refused: Refusal | None) -> None:
    assert refusal("", *fields) is refused


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/json ; a=b"])
def test_json_is_taken(kind: str) -> None:
    refuse_unmarked(CIMultiDict({"Content-Type": kind}))


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", None])
def test_what_a_form_can_send_is_not(kind: str | None) -> None:
    with pytest.raises(Denied) as caught:
        refuse_unmarked(CIMultiDict({} if kind is None else {"Content-Type": kind}))
    assert caught.value.refusal is Refusal.not_json


@pytest.mark.parametrize(
    ("kind", "refused"),
    [(None, False), ("application/json", False), ("text/plain", True), ("multipart/form-data", True)],
)
def test_where_no_content_is_asked_for_a_form_is_refused(kind: str | None, refused: bool) -> None:
    fields = CIMultiDict({} if kind is None else {"Content-Type": kind})
    if not refused:
        refuse_form(fields)
        return
    with pytest.raises(Denied) as caught:
        refuse_form(fields)
    assert caught.value.refusal is Refusal.not_json
