"""The kinds of text that settings hold."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.admission.snapshot import KeySource
from gateway.config import fields

VALID: list[tuple[Any, object, object]] = [
    (fields.Name, "acme-ci.1@x_+", "acme-ci.1@x_+"),
    (fields.FieldName, "X-Api-Version", "X-Api-Version"),
    (fields.FieldValue, "Bearer a b", "Bearer a b"),
    (fields.FieldValue, "", ""),
    (fields.Method, "get", "GET"),
    (fields.QueryName, "filter[x]", "filter[x]"),
    (fields.Host, "API.Example.com:8080", "api.example.com:8080"),
    (fields.Host, "[0:0::1]:8080", "[::1]:8080"),
    (fields.Host, "example.com.:80", "example.com"),
    (fields.Origin, "*", "*"),
    (fields.Origin, "HTTPS://App.Example.com:443", "https://app.example.com"),
    (fields.Origin, "http://localhost:5173", "http://localhost:5173"),
    (fields.Origin, "chrome-extension://abcdef", "chrome-extension://abcdef"),
    (fields.HostPattern, "*", "*"),
    (fields.HostPattern, "*.Example.com", "*.example.com"),
    (fields.HostPattern, "example.com", "example.com"),
    (fields.Network, "10.0.0.0/8", "10.0.0.0/8"),
    (fields.Network, "10.1.2.3/8", "10.0.0.0/8"),
    (fields.Network, "::1", "::1/128"),
    (fields.UpstreamURL, "https://api.example.com", "https://api.example.com"),
    (fields.UpstreamURL, "http://[::1]:8080/base/path/", "http://[::1]:8080/base/path"),
    (fields.PathText, "/v1/{id}/{rest:.*}", "/v1/{id}/{rest:.*}"),
    (fields.RefreshPost, "auto", "auto"),
    (fields.RefreshPost, "none", "none"),
    (fields.RefreshPost, "/v1/{id}/refresh", "/v1/{id}/refresh"),
    (fields.Tag, "product:{id}", "product:{id}"),
    (fields.Prefix, "", ""),
    (fields.Prefix, "/api/", "/api"),
    (fields.Status, "404", 404),
    (fields.Charged, "2xx", 2),
    (fields.Charged, "1xx", 1),
    (fields.Charged, "404", 404),
    (fields.Accepted, "bearer", KeySource("bearer")),
    (fields.Accepted, "basic", KeySource("basic")),
    (fields.Accepted, "header:X-Api-Key", KeySource("header", "X-Api-Key")),
    (fields.Accepted, "query:api_key", KeySource("query", "api_key")),
    (fields.KeyText, "rk_live_0123", "rk_live_0123"),
    (fields.KeyText, "user:pass word", "user:pass word"),
    (fields.KeyText, "", ""),
    (fields.KeyText, "sha256:" + "aF" * 32, "sha256:" + "aF" * 32),
    (fields.Timezone, "America/Los_Angeles", "America/Los_Angeles"),
    (fields.MemberPath, "tokens_consumed", ("tokens_consumed",)),
    (fields.MemberPath, "usage.total-tokens.$", ("usage", "total-tokens", "$")),
]

INVALID: list[tuple[Any, object, str]] = [
    (fields.Name, "org:acme", "must be a name"),
    (fields.Name, "", "must be a name"),
    (fields.Name, "a" * 129, "must be a name"),
    (fields.Name, "a\n", "must be a name"),
    (fields.FieldName, "X Api", "must be a field name"),
    (fields.FieldName, "Transfer-Encoding", "belongs to one connection"),
    (fields.FieldName, "content-length", "belongs to one connection"),
    (fields.FieldValue, "a\r\nb: c", "must be printable ASCII"),
    (fields.FieldValue, " a", "must be printable ASCII"),
    (fields.FieldValue, "é", "must be printable ASCII"),
    (fields.Method, "GET POST", "must be a method"),
    (fields.QueryName, "a=b", "must be the name of a query parameter"),
    (fields.Host, "http://example.com", "must be a host"),
    (fields.Host, "*.example.com", "must be a host"),
    (fields.Host, None, "must be a host"),
    (fields.Host, "example.com:99999", "must be a host"),
    (fields.Host, "a b", "must be a host"),
    (fields.Origin, "app.example.com", "must be an origin"),
    (fields.Origin, "https://app.example.com/", "must be an origin"),
    (fields.Origin, "https://", "must be an origin"),
    (fields.Origin, "null", "must be an origin"),
    (fields.Origin, "*.example.com", "must be an origin"),
    (fields.HostPattern, "*example.com", "must be a host"),
    (fields.HostPattern, "a*.example.com", "must be a host"),
    (fields.Network, "10.0.0.0/33", "must be an address or a network"),
    (fields.Network, "proxy.internal", "must be an address or a network"),
    (fields.UpstreamURL, "api.example.com", "must be a URL such as"),
    (fields.UpstreamURL, "ftp://api.example.com", "must be a URL such as"),
    (fields.UpstreamURL, "https://", "must be a URL such as"),
    (fields.UpstreamURL, "https://api.example.com:99999", "must be a URL such as"),
    (fields.UpstreamURL, "https://api.example.com:0", "must be a URL such as"),
    (fields.UpstreamURL, "https://[::1", "must be a URL such as"),
    (fields.UpstreamURL, "https://api.example.com/a b", "must be a URL such as"),
    (fields.UpstreamURL, "https://api.example.com/{id}", "must be a URL such as"),
    (fields.UpstreamURL, "https://api.example.com/\n", "must be a URL such as"),
    (fields.UpstreamURL, "https://user:pass@api.example.com", "without user, query and fragment"),
    (fields.UpstreamURL, "https://@api.example.com", "without user, query and fragment"),
    (fields.UpstreamURL, "https://api.example.com?a=b", "without user, query and fragment"),
    (fields.UpstreamURL, "https://api.example.com/?", "without user, query and fragment"),
    (fields.UpstreamURL, "https://api.example.com/#a", "without user, query and fragment"),
    (fields.UpstreamURL, None, "must be a URL such as"),
    (fields.PathText, "v1", "must be a path such as /v1/products/{id}: "),
    (fields.PathText, "/v1/{id", "must be a path such as /v1/products/{id}: "),
    (fields.PathText, ["/v1"], "must be a path such as"),
    (fields.RefreshPost, "refresh", "must be a path such as"),
    (fields.Tag, "product:{id", "must be a tag such as product:{id}: "),
    (fields.Tag, None, "must be a tag such as"),
    (fields.Prefix, "api", "must be the beginning of a path"),
    (fields.Prefix, "/api/{id}", "must be the beginning of a path"),
    (fields.Prefix, None, "must be the beginning of a path"),
    (fields.Status, "99", "must be a status code"),
    (fields.Status, "600", "must be a status code"),
    (fields.Status, "2xx", "must be a status code"),
    (fields.Charged, "5xx", "5xx is always free"),
    (fields.Charged, "503", "5xx is always free"),
    (fields.Charged, "6xx", "must be a status class"),
    (fields.Charged, "2", "must be a status class"),
    (fields.Charged, None, "must be a status class"),
    (fields.Accepted, "digest", "must be bearer, basic"),
    (fields.Accepted, "header:", "must be bearer, basic"),
    (fields.Accepted, "header:X Key", "must be bearer, basic"),
    (fields.Accepted, "query:", "must be bearer, basic"),
    (fields.Accepted, "bearer:x", "must be bearer, basic"),
    (fields.KeyText, "sha256:abc", "must have 64 hexadecimal digits"),
    (fields.KeyText, "key\n", "must be an API key"),
    (fields.KeyText, "clé", "must be an API key"),
    (fields.KeyText, ["key"], "must be an API key"),
    (fields.Timezone, "PST8", "must be a time zone"),
    (fields.Timezone, "../../etc/passwd", "must be a time zone"),
    (fields.Timezone, "", "must be a time zone"),
    (fields.MemberPath, "", "must be the name of a member"),
    (fields.MemberPath, "usage.", "must be the name of a member"),
    (fields.MemberPath, "usage..tokens", "must be the name of a member"),
    (fields.MemberPath, "usage. tokens", "must be the name of a member"),
    (fields.MemberPath, "a." * 128 + "b", "must be the name of a member"),
    (fields.MemberPath, ["usage"], "must be the name of a member"),
]


@pytest.mark.parametrize(("kind", "value", "read"), VALID)
def test_what_is_read(kind: Any, value: object, read: object) -> None:
    assert TypeAdapter(kind).validate_python(value) == read


@pytest.mark.parametrize(("kind", "value", "message"), INVALID)
def test_what_is_refused(kind: Any, value: object, message: str) -> None:
    with pytest.raises(ValidationError) as told:
        TypeAdapter(kind).validate_python(value)
    [error] = told.value.errors()
    assert str(error["ctx"]["error"]).startswith(message) or message in str(error["ctx"]["error"])


@pytest.mark.parametrize(
    ("value", "read"), [("a", ("a",)), (["a", "b"], ("a", "b")), ([], ())], ids=["one", "several", "none"]
)
def test_one_text_stands_for_a_list(value: object, read: tuple[str, ...]) -> None:
    assert TypeAdapter(fields.Many[str]).validate_python(value) == read
