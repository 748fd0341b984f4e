// The top of the page: six figures with their curves, and the state of the gateway in a line.

import { drawing, element, figure, fillWith, find, mark, say } from "./dom.js";
import { NONE, big, bytes, clock, count, rate, seconds, several, share } from "./format.js";
import { asked, proportions, rates, served } from "./history.js";

const WIDE = 120;
const HIGH = 32;

export const calls = (point) => point.calls;
export const failed = (point) => point.failed;

// `figure` is the hook for what `/metrics` says; `lately` words what the chosen range has brought.
const TILES = [
  {
    name: "hit_ratio",
    title: "Hit ratio",
    curve: (steps) => proportions(steps, served, asked),
    lately: (history, minutes) => {
      const all = history.grown(minutes, asked);
      return all > 0 ? share(history.grown(minutes, served) / all) : NONE;
    },
  },
  {
    name: "requests",
    title: "Requests",
    curve: (steps) => rates(steps, (point) => point.requests),
    lately: (history) => `${rate(history.pace((point) => point.requests))}/s now`,
    now: true,
  },
  {
    name: "saved_upstream_calls",
    title: "Upstream calls saved",
    curve: (steps) => rates(steps, (point) => point.saved_calls),
    lately: (history, minutes) => big(history.grown(minutes, (point) => point.saved_calls)),
  },
  {
    name: "saved_tokens",
    title: "Tokens saved",
    curve: (steps) => rates(steps, (point) => point.saved_tokens),
    lately: (history, minutes) => big(history.grown(minutes, (point) => point.saved_tokens)),
  },
  {
    name: "tokens_charged",
    title: "Tokens charged",
    curve: (steps) => rates(steps, (point) => point.tokens),
    lately: (history, minutes) => big(history.grown(minutes, (point) => point.tokens)),
  },
  {
    name: "upstream_failed",
    title: "Failed upstream calls",
    curve: (steps) => rates(steps, failed),
    lately: (history, minutes) => big(history.grown(minutes, failed)),
  },
];

/** The empty tiles; `figures` and `curves` fill them. */
export function layTiles() {
  find("#tiles").append(
    ...TILES.map(({ name, title }) => {
      const value = element("span", { class: "big", "data-figure": name, "data-value": "" }, NONE);
      const lately = element("span", { class: "lately" }, NONE);
      const calls = element("span", { "data-figure": "upstream_calls" }, NONE);
      const under = name === "upstream_failed" ? ["of ", calls, " · "] : [];
      const shape = {
        class: "spark",
        viewBox: `0 0 ${WIDE} ${HIGH}`,
        preserveAspectRatio: "none",
        "aria-hidden": "true",
      };
      const spark = drawing("svg", shape, drawing("path", { class: "area" }), drawing("path", { class: "line" }));
      const note = element("span", { class: "note" }, ...under, lately);
      return element("li", { class: "tile", "data-tile": name }, element("h3", {}, title), value, note, spark);
    }),
  );
}

/** What to try while nothing has been asked for. The page does not know where clients connect: the config does. */
export function showFirst({ totals }) {
  const command = `curl -i -H 'Authorization: Bearer YOUR_KEY' http://${location.hostname}:8080/…`;
  const told = [
    "No requests yet. Try: ",
    element("code", {}, command),
    " (or whatever ",
    element("code", {}, "listen"),
    " says in the config)",
  ];
  find("#first").hidden = totals.requests > 0;
  fillWith(find("#first"), command, () => told);
}

/** The figures of an overview: all since the start. */
export function showFigures(overview) {
  const { totals, saved, stored, upstreams } = overview;
  figure("hit_ratio", overview.hit_ratio, share(overview.hit_ratio));
  const plain = {
    requests: totals.requests,
    saved_upstream_calls: saved.upstream_calls,
    saved_tokens: saved.tokens,
    tokens_charged: totals.tokens_charged,
    upstream_calls: upstreams.reduce((sum, upstream) => sum + upstream.calls, 0),
    upstream_failed: upstreams.reduce((sum, upstream) => sum + upstream.failed, 0),
    collapsed: totals.collapsed,
    refused: totals.refused,
    in_flight: overview.in_flight,
    stored_responses: stored.responses,
    evictions: stored.evictions,
  };
  for (const [name, value] of Object.entries(plain)) figure(name, value, big(value), count(value));
  figure("stored_bytes", stored.bytes, bytes(stored.bytes), several(stored.bytes, "byte"));
  say(find("#room"), `${share(stored.limit > 0 ? stored.bytes / stored.limit : 0)} of ${bytes(stored.limit)}`);
  mark(find('[data-tile="upstream_failed"]'), "data-kind", plain.upstream_failed > 0 ? "bad" : "");
  const up = (Date.parse(overview.at) - Date.parse(overview.started_at)) / 1000;
  say(find("#since"), `Figures count from the start of the gateway, ${seconds(Math.floor(up))} ago`);
  showFacts(overview, up);
}

function showFacts(overview, up) {
  const { version, ready, failing, store_up: storeUp, drift, config, log_lines_dropped: dropped } = overview;
  const facts = [
    [ready ? "Ready" : `Not ready: ${failing.join(", ")}`, ready ? "" : "bad"],
    ...(storeUp ? [] : [["Ledger out of reach", "bad"]]),
    ...(drift === 0 ? [] : [[`Ledger drifts by ${several(drift, "token")}`, "bad"]]),
    [
      config.ok ? `Config of ${clock(config.loaded_at)}` : `Config refused: ${several(config.mistakes, "mistake")}`,
      config.ok ? "" : "bad",
      "#config",
    ],
    ...(config.warnings > 0 ? [[several(config.warnings, "warning"), "fair", "#config"]] : []),
    ...(dropped > 0 ? [[`${several(dropped, "log line")} dropped`, "fair"]] : []),
    [`Up ${seconds(Math.floor(up))}`, ""],
    [version, ""],
  ];
  const text = facts.map(([words]) => words).join("\n");
  const item = ([words, kind, href]) =>
    element("li", { "data-kind": kind }, href === undefined ? words : element("a", { href }, words));
  fillWith(find("#facts"), text, () => facts.map(item));
}

/** The curves of the last `minutes`, and what these have brought. */
export function showCurves(history, minutes) {
  const steps = history.steps(minutes);
  for (const { name, curve, lately, now = false } of TILES) {
    const tile = find(`[data-tile="${name}"]`);
    const [area, line] = tile.querySelector(".spark").children;
    const [path, under] = sparkline(curve(steps));
    mark(line, "d", path);
    mark(area, "d", under);
    const range = minutes === 60 ? " in 1 h" : ` in ${minutes} min`;
    say(tile.querySelector(".lately"), `${lately(history, minutes)}${now ? "" : range}`);
  }
}

/** The `d` of a curve through the values, and of the area below it; nulls are skipped. */
export function sparkline(values) {
  const most = Math.max(...values.map((value) => value ?? 0), 0);
  const places = values
    .map((value, at) => [at, value])
    .filter(([, value]) => value !== null)
    .map(([at, value]) => {
      const x = (at / Math.max(1, values.length - 1)) * WIDE;
      const y = HIGH - 2 - (most > 0 ? (value / most) * (HIGH - 4) : 0);
      return [x.toFixed(1), y.toFixed(1)];
    });
  if (places.length < 2) return ["", ""];
  const path = `M${places.map((place) => place.join(" ")).join("L")}`;
  return [path, `${path}L${places.at(-1)[0]} ${HIGH}L${places[0][0]} ${HIGH}Z`];
}
