// The tables of what the gateway counts: routes, upstreams, refusals.

import { element, fillWith, find } from "./dom.js";
import { NONE, big, clock, count, full, rate, seconds, several, share } from "./format.js";
import { Table } from "./table.js";
import { ANSWERED } from "./traffic.js";

const exact = (value) => count(value);

/** A column of a number. */
export const number = (name, title, value, more = {}) => ({
  name,
  title,
  value,
  text: big,
  exact,
  numeric: true,
  ...more,
});

/** A column of words that the filter looks at; what the cell cuts off is told on hovering. */
export const words = (name, title, value, more = {}) => ({ name, title, value, search: true, exact: String, ...more });

/** A badge of words; `kind` is `good`, `fair`, `bad` or empty, and the words say the same as its colour. */
export const badge = (kind, text) => element("span", { class: "badge", "data-kind": kind }, text);

/** A bar of how requests were answered, in the colours and the order of the chart. */
function fillMix(cell, { counted }) {
  const asked = ANSWERED.filter(({ name }) => counted.cache[name] > 0);
  const total = asked.reduce((sum, { name }) => sum + counted.cache[name], 0);
  const told = asked.map(({ name, label }) => `${label} ${share(counted.cache[name] / total)}`).join(", ");
  fillWith(cell, told, () => {
    const bar = element("span", { class: "mix", role: "img", "aria-label": told || "no requests", title: told });
    for (const { name } of asked) {
      const part = element("span", { "data-colour": name });
      part.style.flexGrow = String(counted.cache[name]);
      bar.append(part);
    }
    return [bar];
  });
}

const ROUTES = [
  words("route", "Route", ({ route }) => route, { text: (route) => route || "no route" }),
  number("requests", "Requests", ({ counted }) => counted.requests),
  number("hit_ratio", "Hit ratio", (item) => item.hit_ratio, { text: share, exact: undefined }),
  { name: "mix", title: "How answered", value: ({ counted }) => counted.cache.hit, fill: fillMix },
  number("saved_upstream_calls", "Calls saved", ({ saved }) => saved.upstream_calls),
  number("saved_tokens", "Tokens saved", ({ saved }) => saved.tokens),
  number("tokens_charged", "Tokens", ({ counted }) => counted.tokens_charged, { hint: "Charged since the start" }),
  number("refused", "Refused", ({ counted }) => counted.refused),
  number("p50", "p50", (item) => item.seconds.p50, {
    text: seconds,
    exact: undefined,
    hint: "Half of the answers took no longer",
  }),
  number("p99", "p99", (item) => item.seconds.p99, {
    text: seconds,
    exact: undefined,
    hint: "Of a hundred answers 99 took no longer",
  }),
  {
    name: "not_stored",
    title: "Not stored",
    hint: "The most frequent reason for which responses were not stored",
    value: ({ not_stored: reasons }) => Object.values(reasons).reduce((sum, one) => sum + one, 0),
    text: (total, { not_stored: reasons }) => {
      const [most] = Object.entries(reasons).toSorted(([, a], [, b]) => b - a);
      return most === undefined ? NONE : `${most[0].replaceAll("_", " ")} ${big(total)}`;
    },
    exact: (_, { not_stored: reasons }) =>
      Object.entries(reasons)
        .map(([reason, one]) => `${reason}: ${count(one)}`)
        .join("\n"),
  },
];

const STATES = {
  closed: ["good", "up"],
  failing: ["fair", "failing"],
  half_open: ["fair", "being tried"],
  open: ["bad", "left alone"],
};

function fillState(cell, { up, state }) {
  const [kind, text] = state === null ? ["", "not in the config"] : STATES[state];
  const told = up === false && kind === "good" ? ["bad", "down"] : [kind, text];
  fillWith(cell, told.join(), () => [badge(...told)]);
}

const UPSTREAMS = [
  words("upstream", "Upstream", ({ upstream }) => upstream),
  { name: "state", title: "State", value: ({ state }) => state, fill: fillState },
  number("calls", "Calls", ({ calls }) => calls),
  number("failed", "Failed", ({ failed }) => failed),
  number("failure_ratio", "Failed share", ({ calls, failed }) => (calls > 0 ? failed / calls : null), {
    text: share,
    exact: undefined,
  }),
  number("retries", "Retries", ({ retries }) => retries),
  number("mean", "Mean", (item) => item.seconds.mean, { text: seconds, exact: undefined }),
  number("p50", "p50", (item) => item.seconds.p50, { text: seconds, exact: undefined }),
  number("p99", "p99", (item) => item.seconds.p99, { text: seconds, exact: undefined }),
  {
    name: "codes",
    title: "Answers",
    value: ({ codes }) => Object.keys(codes).length,
    text: (_, { codes }) =>
      Object.entries(codes)
        .toSorted(([, a], [, b]) => b - a)
        .map(([code, one]) => `${code.replaceAll("_", " ")} × ${big(one)}`)
        .join(", ") || NONE,
  },
];

const REFUSALS = [
  { name: "at", title: "When", value: ({ at }) => at, text: clock, exact: full },
  words("reason", "Reason", ({ reason }) => reason, { text: (reason) => reason.replaceAll("_", " ") }),
  { name: "status", title: "Status", value: ({ status }) => status, numeric: true },
  { name: "method", title: "Method", value: ({ method }) => method },
  words("route", "Route", ({ route }) => route, { text: (route) => route || "no route" }),
  words("account", "Account", ({ account }) => account),
  words("organization", "Organization", ({ organization }) => organization),
  words("request_id", "Request id", (item) => item.request_id),
];

export const routesTable = () =>
  new Table(find("#routes-table"), {
    caption: "Routes",
    columns: ROUTES,
    key: ({ route }) => route,
    order: ["requests", "descending"],
    empty: () => ["The config has no route."],
  });

export const upstreamsTable = () =>
  new Table(find("#upstreams-table"), {
    caption: "Upstreams",
    columns: UPSTREAMS,
    key: ({ upstream }) => upstream,
    order: ["calls", "descending"],
    empty: () => ["The config names no upstream."],
  });

export const refusalsTable = () =>
  new Table(find("#refusals-table"), {
    caption: "The last refusals, newest first",
    shown: 12,
    columns: REFUSALS,
    key: ({ key }) => key,
    empty: () => ["Nothing was refused."],
  });

/** How often each reason was told since the start, as chips. */
export function showReasons(refusals) {
  const most = Object.entries(refusals).toSorted(([, a], [, b]) => b - a);
  const host = find("#reasons");
  fillWith(host, JSON.stringify(most), () =>
    most.map(([reason, times]) =>
      element(
        "span",
        { class: "chip", "data-key": reason, title: several(times, "refusal") },
        `${reason.replaceAll("_", " ")} `,
        element("b", {}, big(times)),
      ),
    ),
  );
}

/** Refusals, newest first, each with a `key` of its own that it keeps: clients may choose their request ids. */
export function distinct(refusals) {
  const seen = new Map();
  return refusals
    .toReversed()
    .map((refusal) => {
      const same = `${refusal.at} ${refusal.request_id}`;
      seen.set(same, (seen.get(same) ?? 0) + 1);
      return { ...refusal, key: `${same} ${seen.get(same)}` };
    })
    .toReversed();
}
