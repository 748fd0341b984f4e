// "Why is it not a hit?": asks what would become of a request, and says it in words.

import { element, find, inline, onSubmit, result } from "./dom.js";
import { bytes, count, full, seconds, several } from "./format.js";
import { badge } from "./tables.js";

const GOOD = ["reuse", "reuse while revalidating", "replay"];
const FIELD = /^([^:\s]+):[ \t]*(.*)$/;

/** `Name: value` lines as pairs. Throws Error for a line that is none. */
function fieldsOf(text) {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => {
    const found = FIELD.exec(line.trim());
    if (found === null) throw new Error(`A field is “Name: value”, and this is none: ${line}`);
    return [found[1], found[2]];
  });
}

const code = (text) => element("code", {}, text);
const lines = (list, made) =>
  element("ul", { class: "plain" }, ...list.map((item) => element("li", {}, ...made(item))));

/** A part of the explanation: its title, and nodes; none where `nodes` is null. */
const part = (title, nodes) => (nodes === null ? [] : [element("dt", {}, title), element("dd", {}, ...nodes)]);

function verdict({ verdict: decided, refusal }) {
  if (refusal !== null) {
    const { status, reason, title, detail } = refusal;
    const head = element("p", { class: "verdict" }, badge("bad", "refuse"), ` ${status} `, code(reason));
    return [head, element("p", {}, ...inline(detail ?? title))];
  }
  if (decided === null) return [element("p", { class: "verdict" }, badge("", "no decision"))];
  const kind = GOOD.includes(decided.decision) ? "good" : "fair";
  const head = element("p", { class: "verdict", "data-decision": decided.decision }, badge(kind, decided.decision));
  const grounds = lines(decided.grounds, ({ words, section }) => [
    words,
    " ",
    element("span", { class: "section" }, section),
  ]);
  return [head, grounds];
}

function outcome({ verdict: decided }) {
  if (decided === null) return null;
  const { tokens, collapsed, spare, cache_status: cacheStatus } = decided;
  const told = [
    ["Cache-Status: ", code(cacheStatus)],
    [
      tokens === null
        ? "Its charge is not known before, or nothing is metered."
        : `It is charged ${several(tokens, "token")} if the upstream delivers where it is asked.`,
    ],
    ...(collapsed ? [["It joins a fetch that is under way."]] : []),
    ...(spare === null ? [] : [[`If the upstream fails, a stored response answers: ${spare}.`]]),
  ];
  return [lines(told, (nodes) => nodes)];
}

function routing({ route, passed_over: passed, onward }) {
  if (route === null) return null;
  const state = (onward?.state ?? null) === null ? "" : `, whose breaker is ${onward.state.replace("_", " ")}`;
  const upstream = onward === null ? "" : ` to ${onward.upstream}${state}`;
  const told = element("p", {}, element("strong", {}, route), upstream);
  if (passed.length === 0) return [told];
  const summary = element("summary", {}, `${several(passed.length, "route")} passed over before`);
  return [
    told,
    element(
      "details",
      {},
      summary,
      lines(passed, ({ route: other, why }) => [element("strong", {}, other), ": ", ...inline(why)]),
    ),
  ];
}

function price({ quote }) {
  if (quote === null) return null;
  const forced = quote.forced === null ? [] : [[`${several(quote.forced, "token")} where fetching is forced`]];
  const told = [...quote.lines.map(([name, tokens]) => [`${name}: ${count(tokens)}`]), ...forced];
  return [element("p", {}, element("strong", {}, several(quote.total, "token"))), lines(told, (nodes) => nodes)];
}

function caller({ caller: who, limits }) {
  if (who === null) return null;
  const told = element("p", {}, element("strong", {}, who.account), ` of ${who.organization}, plan ${who.plan}`);
  if (limits === null) return [told];
  const { balance, granted, reserved, renews, throttle, force_refresh_cap: cap } = limits;
  const room = (name, { remaining, limit, window }) => [
    `${name}: ${count(remaining)} of ${count(limit)} in ${seconds(window)}`,
  ];
  const standing = [
    [
      balance === null
        ? "Unlimited tokens"
        : `Balance: ${count(balance)} of ${several(granted ?? 0, "token")}, ${count(reserved)} reserved`,
    ],
    ...(renews === null ? [] : [[`Next grant: ${full(renews)}`]]),
    ...(throttle === null ? [] : [room("Throttle", throttle)]),
    ...(cap === null ? [] : [room("Force refreshes", cap)]),
  ];
  return [told, lines(standing, (nodes) => nodes)];
}

function stored({ stored: variants }) {
  if (variants === null) return null;
  if (variants.length === 0) return [element("p", {}, "Nothing.")];
  const told = ({ status, state, age, ttl, size, selecting, matches, selected }) => {
    const life = ttl === null ? "" : ttl >= 0 ? `, ${seconds(ttl)} left` : `, stale for ${seconds(-ttl)}`;
    const fields = selecting.map(([name, value]) => `${name}: ${value}`).join("; ");
    const fit = selected ? " – decided on" : matches ? "" : " – for other requests";
    return [
      badge(state === "fresh" ? "good" : "fair", state),
      ` ${status}, ${seconds(age)} old${life}, ${bytes(size)}${fit}`,
      ...(fields === "" ? [] : [" ", code(fields)]),
    ];
  };
  return [lines(variants, told)];
}

function keyed({ caching }) {
  if (caching === null) return null;
  const outdates =
    caching.outdates.length === 0
      ? []
      : [element("p", {}, "A refresh of it outdates: ", code(caching.outdates.join(", ")))];
  return [element("pre", {}, caching.key.join("\n")), element("p", {}, `Shared with: ${caching.share}.`), ...outdates];
}

/** The explanation as nodes. */
function described(told) {
  return [
    ...verdict(told),
    element(
      "dl",
      { class: "explained" },
      ...part("Route", routing(told)),
      ...part("Stored under its key", stored(told)),
      ...part("What comes of it", outcome(told)),
      ...part("Price", price(told)),
      ...part("Whose request", caller(told)),
      ...part("Cache key", keyed(told)),
      ...part("Sent on as", told.onward === null ? null : [code(`${told.onward.method} ${told.onward.url}`)]),
    ),
  ];
}

/** Wires the form. */
export function wireExplain(connection) {
  const told = find("#explain-result");

  onSubmit(find("#explain-form"), told, async ({ method, url, account, fields }) => {
    const who = account.value.trim();
    const asked = { method: method.value, url: url.value.trim(), headers: fieldsOf(fields.value) };
    const content = who === "" ? asked : { ...asked, account: who };
    result(told, "", ...described(await connection.ask("-/explain", { method: "POST", content })));
  });
}
