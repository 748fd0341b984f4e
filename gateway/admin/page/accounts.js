// Accounts: who spends most, who is near the quota, and one that is looked up.

import { element, fillWith, find, result, say } from "./dom.js";
import { NONE, big, clock, count, full, several, share } from "./format.js";
import { Table } from "./table.js";
import { badge, number, words } from "./tables.js";

// Whose the gateway's own fetches are.
const HOUSE = "gateway:house";
const TOP = 20;
const MOST = 20;
// Milliseconds without a keystroke after which a search begins.
const PAUSE = 250;
const FAIR = 0.8;
const BAD = 0.95;

/** A bar of what is used of a grant, with the share in words beside it. */
function fillUsed(cell, { used }) {
  const kind = used >= BAD ? "bad" : used >= FAIR ? "fair" : "good";
  fillWith(cell, `${used}`, () => {
    const fill = element("span", { class: "bar-fill", "data-kind": kind });
    fill.style.inlineSize = `${Math.min(100, 100 * used)}%`;
    return [
      element("span", { class: "meter" }, element("span", { class: "bar", "aria-hidden": true }, fill), share(used)),
    ];
  });
}

const GRANT = {
  name: "next_grant",
  title: "Next grant",
  value: (item) => item.next_grant?.at ?? null,
  text: clock,
  exact: (at, item) => `${several(item.next_grant.tokens, "token")} on ${full(at)}`,
};

const STANDING = [
  words("account", "Account", ({ account }) => account),
  words("organization", "Organization", ({ organization }) => organization),
  words("plan", "Plan", ({ plan }) => plan),
];

const NEAREST = [
  ...STANDING.slice(0, 2),
  { name: "used", title: "Used", value: ({ used }) => used, fill: fillUsed },
  number("balance", "Balance", ({ balance }) => balance),
  number("granted", "Granted", ({ granted }) => granted),
  GRANT,
];

const room = (limit) => (limit === null ? NONE : `${count(limit.remaining ?? limit.limit)} of ${count(limit.limit)}`);

const FOUND = [
  ...STANDING,
  number("balance", "Balance", ({ balance }) => balance, {
    text: (balance) => (balance === null ? "unlimited" : big(balance)),
  }),
  number("reserved", "Reserved", ({ reserved }) => reserved),
  number("charged", "Charged", ({ charged }) => charged),
  number("granted", "Granted", ({ granted }) => granted),
  {
    name: "throttle",
    title: "Throttle",
    value: ({ throttle }) => throttle?.remaining ?? null,
    text: (_, { throttle }) => room(throttle),
  },
  {
    name: "cap",
    title: "Refresh cap",
    value: ({ cap }) => cap?.force_refresh.remaining ?? null,
    text: (_, { cap }) => room(cap?.force_refresh ?? null),
  },
  GRANT,
  { name: "expires", title: "Expires", value: ({ expires }) => expires, text: clock, exact: full },
  {
    name: "kind",
    title: "Kind",
    value: ({ test }) => (test ? "test" : "live"),
    fill: (cell, { test }) => fillWith(cell, `${test}`, () => [badge(test ? "fair" : "", test ? "test key" : "live")]),
  },
];

const spending = (member, title) => [
  words(member, title, (item) => item[member], {
    text: (name) => (name === HOUSE ? "the gateway itself" : (name ?? NONE)),
  }),
  number("tokens", "Tokens", ({ tokens }) => tokens, { hint: "Net of those refunded" }),
  number("requests", "Requests", ({ requests }) => requests),
  number("refunded", "Refunded", ({ refunded }) => refunded),
  number("vendor_tokens", "Vendor tokens", (item) => item.vendor_tokens, { hint: "What upstreams charged" }),
];

const noUsage = () => ["No tokens charged this month."];

/** `{path, table, show}` of a month's usage by `by`, the most first; the rest is summed up below. */
function usage(by, selector, columns, caption) {
  const host = find(selector);
  const table = new Table(host, { caption, columns, key: (item) => item[by] ?? "", empty: noUsage });
  const total = element("p", { class: "hint" });
  host.append(total);
  const show = ({ month, rows, rest, total: all }) => {
    table.show(rows);
    const others =
      rest === null ? "" : ` ${several(rest.tokens, "token")} of them of others than these ${rows.length}.`;
    say(total, `${month}: ${several(all.tokens, "token")}, ${several(all.requests, "request")}.${others}`);
  };
  return { path: `-/usage?by=${by}&top=${TOP}`, table, show };
}

export const organizationsUsage = () =>
  usage(
    "organization",
    "#organizations",
    spending("organization", "Organization"),
    "Tokens by organization, this month",
  );

export const spendersUsage = () =>
  usage("key", "#spenders", spending("key", "Account"), "Tokens by account, this month");

export const nearestTable = () =>
  new Table(find("#nearest"), {
    caption: "Accounts that have used most of their present grant",
    columns: NEAREST,
    key: ({ account }) => account,
    order: ["used", "descending"],
    empty: () => ["No account has used any of its grant."],
  });

/** How many accounts have used 80, 95, 100 percent of their grant. */
export function showAbove(above) {
  fillWith(find("#above"), JSON.stringify(above), () =>
    Object.entries(above).map(([percent, accounts]) =>
      element(
        "span",
        { class: "chip", "data-key": percent },
        `${percent} % and more `,
        element("b", {}, big(accounts)),
      ),
    ),
  );
}

/** Looks accounts up as their ids are typed. */
export function searchAccounts(connection) {
  const input = find("#account-search");
  const host = find("#account-results");
  const told = find("#account-count");
  let timer = null;
  let latest = 0;

  async function search() {
    clearTimeout(timer);
    const text = input.value.trim();
    const mine = (latest += 1);
    try {
      const query = new URLSearchParams({ like: text, most: MOST });
      const found = text === "" ? null : await connection.ask(`-/accounts?${query}`);
      if (mine === latest) show(text, found);
    } catch (error) {
      if (mine !== latest) return;
      host.replaceChildren();
      result(told, "bad", error.message);
    }
  }

  function show(text, found) {
    host.replaceChildren();
    result(told, "", found === null ? "" : howMany(text, found));
    if (found === null || found.accounts.length === 0) return;
    const key = ({ account }) => account;
    new Table(host, { caption: "Accounts found", columns: FOUND, key, empty: () => [] }).show(found.accounts);
  }

  find("#account-form").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, PAUSE);
  });
}

function howMany(text, { accounts, next }) {
  if (accounts.length === 0) return `No account’s id contains “${text}”.`;
  return next === null
    ? `${several(accounts.length, "account")}.`
    : `The first ${accounts.length}: type more of the id.`;
}
