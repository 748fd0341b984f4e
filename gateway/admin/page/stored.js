// What is stored, by route and age, and purging it.

import { confirmed } from "./dialogs.js";
import { element, fillWith, find, onSubmit, result, say } from "./dom.js";
import { bytes, clock, count, several } from "./format.js";
import { Table } from "./table.js";
import { number, words } from "./tables.js";

// The bounds of `ages` in words: how old a response is at most, and the last of all.
const AGES = ["1 min", "10 min", "1 h", "6 h", "1 d", "older"];
// Percent of the height that even none has.
const LEAST = 12;
const LISTED = 5;
const LOOKED_AT = 100;

/** Bars of how many there are of each age; their heights are told in words, too. */
function fillAges(cell, { ages }) {
  const told = ages
    .map((number_, at) => `${AGES[at] === "older" ? "older" : `up to ${AGES[at]}`}: ${count(number_)}`)
    .join(", ");
  fillWith(cell, told, () => {
    const most = Math.max(...ages, 1);
    const bars = element("span", { class: "ages", role: "img", "aria-label": told, title: told });
    for (const one of ages) {
      const bar = element("span", { class: one === 0 ? "none" : null });
      bar.style.blockSize = `${Math.max(LEAST, (100 * one) / most)}%`;
      bars.append(bar);
    }
    return [bars];
  });
}

const STORED = [
  words("route", "Route", ({ route }) => route, { text: (route) => route ?? "of no present route" }),
  number("responses", "Responses", ({ responses }) => responses),
  number("bytes", "Memory", (item) => item.bytes, { text: bytes, exact: (value) => several(value, "byte") }),
  number("fresh", "Fresh", ({ fresh }) => fresh),
  number("stale", "Stale", ({ stale }) => stale),
  number("outdated", "Outdated", ({ outdated }) => outdated, { hint: "By a refresh, or an unsafe method" }),
  {
    name: "ages",
    title: "Age",
    hint: `Up to ${AGES.slice(0, -1).join(", ")}, and older`,
    value: ({ ages }) => ages.join(" "),
    fill: fillAges,
  },
];

/** `{show, table}` of `/-/stored/summary`. */
export function storedTable() {
  const host = find("#stored-table");
  const options = {
    caption: "Stored responses by route",
    columns: STORED,
    key: ({ route }) => route ?? "",
    order: ["responses", "descending"],
    empty: () => [
      "Nothing is stored yet: a route stores once it has ",
      element("code", {}, "cache"),
      " in the config.",
    ],
  };
  const table = new Table(host, options);
  const when = element("p", { class: "hint" });
  host.append(when);
  const show = ({ as_of: asOf, routes }) => {
    if (asOf === null) return;
    table.show(routes);
    say(when, `Counted at ${clock(asOf)}. Ages: up to ${AGES.slice(0, -1).join(", ")}, older.`);
  };
  return { show, table };
}

const WHICH = {
  url: (text) => `of the URL ${text}`,
  prefix: (text) => `of every URL that begins with ${text}`,
  tag: (text) => `with the tag ${text}`,
  route: (text) => `of the route ${text}`,
  everything: () => "of every route, all there is,",
};
const PLACEHOLDERS = {
  url: "/v1/products/42",
  prefix: "/v1/products/",
  tag: "product:42",
  route: "a route’s name",
  everything: "",
};

const selected = (by, text) => (by === "everything" ? { everything: true } : { [by]: text });

/** What would go: a sentence, and some of the targets. */
async function foreseen(connection, by, text, hard) {
  const query = new URLSearchParams({ ...(by === "everything" ? {} : { [by]: text }), most: LOOKED_AT });
  const { stored, next } = await connection.ask(`-/stored?${query}`);
  const number_ =
    next === null
      ? several(stored.length, "stored response")
      : `More than ${several(stored.length, "stored response")}`;
  const fate = hard
    ? "will be removed at once"
    : "will be stale from now on: validated or fetched anew when next asked for";
  const targets = stored.slice(0, LISTED).map(({ target }) => target);
  const more = next === null ? stored.length - targets.length : null;
  const rest = more === null ? ["…"] : more > 0 ? [`and ${count(more)} more`] : [];
  return [`${number_} ${WHICH[by](text)} ${fate}.`, [...targets, ...rest]];
}

/** Wires the purge form; `purged` is called once something was. */
export function wirePurge(connection, purged) {
  const form = find("#purge-form");
  const { by, text, hard } = form.elements;
  const told = find("#purge-result");

  by.addEventListener("change", () => {
    text.disabled = by.value === "everything";
    text.placeholder = PLACEHOLDERS[by.value];
  });
  onSubmit(form, told, async () => {
    const [kind, what, removing] = [by.value, text.value.trim(), hard.checked];
    if (kind !== "everything" && what === "") {
      text.focus();
      throw new Error("Say which.");
    }
    result(told, "", "Looking at what there is …");
    const [sentence, targets] = await foreseen(connection, kind, what, removing);
    result(told, "");
    if (!(await confirmed("Purge?", sentence, targets))) return;
    const content = { ...selected(kind, what), hard: removing };
    const done = await connection.ask("-/purge", { method: "POST", content });
    const fate = done.kind === "hard" ? "removed at once" : "stale from now on";
    result(told, "good", `Purged ${several(done.purged, "stored response")}, ${fate}.`);
    purged();
  });
}
