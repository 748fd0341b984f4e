"""The JSON Schema that editors check with: valid itself, and of one mind with what is read."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from config.test_config_load import SIX_LINES, WHOLE
from config.texts import STORES, Errors, refresh

from gateway.config.schema import schema_json

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = schema_json()
BASE = "upstreams: {api: {url: http://api}}\n"
ROUTE = f"{BASE}routes: [{{}}]\n"


def mistakes(text: str) -> list[str]:
    """What an editor would underline."""
    data: Any = json.loads(json.dumps(yaml.safe_load(text), default=str))
    return [error.message for error in jsonschema_rs.Draft202012Validator(SCHEMA).iter_errors(data)]


def test_it_is_a_schema_of_the_draft_that_it_names() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(SCHEMA)


def test_the_config_names_it_for_editors() -> None:
    first, *_ = (ROOT / "config.yaml").read_text().splitlines()
    named = re.fullmatch(r"# yaml-language-server: \$schema=(.+)", first)
    assert named
    assert json.loads((ROOT / named[1]).read_text()) == SCHEMA


@pytest.mark.parametrize(
    "text",
    [
        (ROOT / "config.yaml").read_text(),
        WHOLE,
        SIX_LINES,
        "keys: [{id: a, key: 12345}]",
        "routes: [{name: only}]",
        "background_refreshes: [{name: b, match: /b, subject: id, tags: t}]",
        "x-anything: {a: [1]}",
        STORES,
    ],
    ids=["config.yaml", "whole", "six lines", "keys", "routes", "background refreshes", "own", "stores"],
)
def test_configs_and_included_files_are_valid(text: str) -> None:
    assert mistakes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        f"{ROUTE}limits: {{connections: '${{EMPTY:-5}}', body: '${{EMPTY:-1MiB}}'}}",
        f"{ROUTE}limits: {{connections: '5'}}",
        f"{ROUTE}limits:\nlog: {{level: }}\nhosts:\nplans:\n",
        f"{ROUTE}log: {{level: '${{EMPTY:-info}}'}}",
        f"{ROUTE}plans: {{p: {{tokens: {{grant: 1, every: day, carry_over: 'yes'}}}}, q: }}",
        f"{ROUTE}include: []\ndefaults: {{route: {{upstream: api, cache: 15m, price: 2}}}}",
        f"{ROUTE}organizations: {{o: {{balance: organization, formerly: 5}}}}",
        f"{BASE}routes: [{{cache: false, refresh: false, cors: false}}]",
        f"{BASE}routes: [{{cache: 1m, refresh: {{post_query: {{all: true, page: 1}}}}}}]",
        f"{BASE}routes: [{{price: {{charge_on: [2xx, 404]}}, tokens_in_body: 'on'}}]",
        f"{BASE}routes: [{{cache: {{ttl_by_status: {{404: 1m}}}}}}]",
        "upstreams: {api: {url: http://api, limits: {rate: none}, timeout: 5s}}\nroutes: [{}]",
        refresh("trigger: none, price: 1, pages: true, status: /s, since: d, pace: {rate: none}"),
        refresh("trigger: '${EMPTY:-none}', price: '2', pages: 'off', answer: {one: 5, all: [true], joined: text}"),
        refresh("trigger: {request: {path: /x, body: }, repeatable: 'yes', wait: {get: /w, until: {a: [1, null, x]}}}"),
        refresh("subjects: {get: /s, id: 5, items: '', refreshable: {a.b: , c: 1.5}, pages: no, keep: '${EMPTY:-5m}'}"),
    ],
)
def test_what_is_read_is_not_underlined(errors: Errors, text: str) -> None:
    assert (errors(text), mistakes(text)) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        f"{ROUTE}rutes: []",
        f"{ROUTE}limits: {{connections: many}}",
        f"{ROUTE}limits: {{connections: 0}}",
        f"{ROUTE}log: {{level: loud}}",
        f"{ROUTE}keys: [{{key: a}}]",
        f"{ROUTE}keys: [{{id: }}]",
        f"{BASE}routes: [{{cache: 15}}]",
        f"{BASE}routes: [{{tokens_in_body: maybe}}]",
        f"{BASE}routes: [{{cors: []}}, 5]",
        f"{ROUTE}defaults: {{route: {{match: /v1}}}}",
        f"{ROUTE}include: {{a: b}}",
        refresh("trigger: clint"),
        refresh("trigger: {request: {method: GET}}"),
        refresh("trigger: {wait: {get: /x, until: {a: [[]]}}}"),
        refresh("pages: {most: 0}"),
        refresh("status: {path: /s, words: {run: {id: 1, text: x}}}"),
        refresh("pace: 5/s"),
        refresh("cache: 1m"),
    ],
)
def test_what_is_refused_is_underlined(errors: Errors, text: str) -> None:
    assert errors(text)
    assert mistakes(text)
