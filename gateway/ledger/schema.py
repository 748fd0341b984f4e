"""The book's tables. `chain` holds the sealed records, each with the hash of the one before; nothing in it changes.

Every row of `chain` is a posting: what it adds to its holder's granted, charged and lapsed. For each holder, where
open reservations of an unlimited plan count as granted, always:

    granted  = carried + sum over chain and open (+ open reservations of an unlimited plan)
    charged  = carried + sum over chain and open        lapsed = likewise
    reserved = sum over reservations                    balance = granted - charged - reserved - lapsed

`minute` counts UTC minutes since the epoch, `at` and `until` are wall-clock seconds. A minute up to meta's `sealed` is
over: what comes late for it is posted to the first one after. A book that follows a fleet's ledger has that fleet's
name in meta's `fleet`, and in `positions` up to which number of each shard; `homes` says where a holder's balance is.
"""

VERSION = 3

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE balances (
    holder TEXT PRIMARY KEY, granted INTEGER NOT NULL, charged INTEGER NOT NULL, reserved INTEGER NOT NULL,
    lapsed INTEGER NOT NULL, balance INTEGER NOT NULL, period INTEGER NOT NULL, given INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE reservations (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, holder TEXT NOT NULL, organization TEXT NOT NULL,
    route TEXT NOT NULL, upstream TEXT NOT NULL, period INTEGER, tokens INTEGER NOT NULL, lines TEXT NOT NULL,
    request TEXT NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE forced (
    organization TEXT NOT NULL, at REAL NOT NULL, until REAL NOT NULL, boot TEXT NOT NULL, uptime REAL NOT NULL
) STRICT;
CREATE TABLE open (
    minute INTEGER NOT NULL, kind TEXT NOT NULL, account TEXT NOT NULL, route TEXT NOT NULL, tokens INTEGER NOT NULL,
    holder TEXT NOT NULL, organization TEXT NOT NULL, upstream TEXT NOT NULL,
    count INTEGER NOT NULL, granted INTEGER NOT NULL, charged INTEGER NOT NULL, lapsed INTEGER NOT NULL,
    cost INTEGER NOT NULL, outcomes TEXT NOT NULL,
    PRIMARY KEY (minute, kind, account, route, tokens, holder, organization, upstream)
) STRICT, WITHOUT ROWID;
CREATE TABLE chain (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, minute INTEGER NOT NULL, account TEXT NOT NULL,
    holder TEXT NOT NULL, organization TEXT NOT NULL, route TEXT NOT NULL, upstream TEXT NOT NULL,
    operation INTEGER, request TEXT, tokens INTEGER NOT NULL, count INTEGER NOT NULL,
    granted INTEGER NOT NULL, charged INTEGER NOT NULL, lapsed INTEGER NOT NULL, cost INTEGER NOT NULL,
    outcomes TEXT NOT NULL, details TEXT NOT NULL, before BLOB NOT NULL
) STRICT;
CREATE INDEX chain_minute ON chain (minute);
CREATE INDEX chain_operation ON chain (operation) WHERE operation IS NOT NULL;
CREATE INDEX chain_request ON chain (account, request) WHERE request IS NOT NULL;
CREATE INDEX chain_receipts ON chain (account) WHERE request IS NOT NULL;
CREATE TABLE carried (
    holder TEXT PRIMARY KEY, granted INTEGER NOT NULL, charged INTEGER NOT NULL, lapsed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE answers (
    account TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, operation INTEGER NOT NULL,
    until REAL NOT NULL, content TEXT NOT NULL, PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_until ON answers (until);
"""

OF_FLEET = """
CREATE TABLE positions (shard INTEGER PRIMARY KEY, id TEXT NOT NULL, number INTEGER NOT NULL) STRICT;
CREATE TABLE homes (holder TEXT PRIMARY KEY, shard INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('fleet', '');
"""
"""What came with version 3."""
