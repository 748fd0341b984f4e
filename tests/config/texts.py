"""What the suites of the config share: an environment, and the types of their fixtures."""

from collections.abc import Mapping
from typing import Protocol

from gateway.config.schema import Config

ENVIRON = {"API_KEY": "sk-from-environ", "CI_KEY": "rk_live_ci", "EMPTY": "", "BAD": "sk bad value\n"}


class Read(Protocol):
    """The config in a text."""

    def __call__(self, text: str, environ: Mapping[str, str] = ENVIRON) -> Config: ...


class Errors(Protocol):
    """What is wrong with a text, as `line:column: message` in the file's order; empty where nothing is."""

    def __call__(self, text: str, environ: Mapping[str, str] = ENVIRON) -> list[str]: ...


STORES = """\
upstreams: {orders: {url: http://orders}}
keys: [{id: me, key: k}]
background_refreshes:
  - name: stores
    match: {host: "*", path: /stores/refreshstore, methods: [POST]}
    upstream: orders
    rewrite: {strip_prefix: /v1}
    subject: {name: storeId, type: number}
    subjects:
      get: /stores?kind=any
      items: data.stores
      id: store.id
      refreshable: {active: true, store.kind: [1, 2.5, null, "3", online]}
      pages: {query: p, page: meta.page, pages: meta.pages, most: 10}
      keep: 1m
    since: {name: refreshDate, zone: "-08:00"}
    trigger:
      request: {method: put, path: "/stores/{subject}/at", query: {since: "{since}"}, body: {id: "{subject}", n: 1}}
      repeatable: true
      wait:
        get: /stores/status?storeId={subject}
        until: {status.id: 3}
        failed: {status.id: [4, 5], error: true}
        every: 1s
        within: 1h
    tags: ["store:{subject}", stores]
    pages: {query: q, page: page, pages: of, most: 20}
    price: {base: 5, per_subject: 2}
    pace: {concurrency: 4, rate: 40/min}
    retry: {attempts: 3, first: 2s, longest: 20s, within: 1h}
    status:
      path: /stores/getrefreshstatus
      answer: {storeId: "{subject}", id: "{status_id}", text: "{status}", at: "{attempted}", since: "{since}"}
      words: {running: {id: 20, text: Updating orders}}
    answer:
      one: {success: true, message: "Store ID {subject}", version: "1", rest: [1, -0.5, null, {a: "{job}"}]}
      all: "all {subjects} {since}"
      joined: {how: "{how}"}
routes:
  - {name: orders, match: "/orders/{id}", cache: {ttl: 5m, tags: ["store:{query.storeId}", stores]}}
"""
"""A background refresh with every key that there is."""


def refresh(text: str = "", tags: str = "s:{subject}") -> str:
    """A config with a background refresh on line 4, of which column 67 begins the `text`."""
    head = f"- {{name: b, match: /b, subject: id, tags: '{tags}'"
    return f"""\
upstreams: {{a: {{url: http://a}}}}
routes: [{{name: r, cache: {{ttl: 1m, tags: "s:{{query.id}}"}}}}]
background_refreshes:
{head}{", " if text else ""}{text}}}
keys: [{{id: k, key: k}}]
"""
