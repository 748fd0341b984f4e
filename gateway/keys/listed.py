"""Made keys as the operators' port tells of them."""

from typing import Literal

from gateway.config.section import Section


class ListedKey(Section):
    """A made key, never the key itself. Times are ISO 8601 in UTC."""

    number: int
    account: str
    organization: str | None = None
    """Null where the config has dropped the account, as `plan` is."""
    plan: str | None = None
    hint: str
    test: bool
    state: Literal["valid", "expired", "revoked", "dropped"]
    created: str
    expires: str | None = None
    revoked: str | None = None


class ListedKeys(Section):
    """A page of made keys by their number."""

    keys: tuple[ListedKey, ...]
    next: int | None = None
    """What `after` is to be for the following page; null on the last."""
