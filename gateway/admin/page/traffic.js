// The charts, and what the cache saved by route.

import { Chart } from "./chart.js";
import { element, fillWith, find } from "./dom.js";
import { NONE, big, rate, seconds, several, share } from "./format.js";
import { calls, failed } from "./glance.js";
import { rates } from "./history.js";

/** How a request was answered, as `/metrics` names it, from what cost nothing to what asked the upstream. */
export const ANSWERED = [
  { name: "hit", label: "Hit", hint: "Answered from what is stored, fresh" },
  { name: "stale", label: "Stale", hint: "Answered from what is stored although it is stale, as the route allows" },
  { name: "collapsed", label: "Collapsed", hint: "Answered by a fetch that another request had begun" },
  { name: "validated", label: "Validated", hint: "The upstream said that what is stored still holds" },
  { name: "miss", label: "Miss", hint: "Fetched, as nothing stored would do" },
  { name: "refresh", label: "Refresh", hint: "Fetched because the client forced it" },
  { name: "pass", label: "Pass", hint: "The route stores nothing, the method is unsafe, or it was refused before" },
];

const CALLS = [
  { name: "saved", label: "Saved", hint: "Requests that needed no upstream call of their own" },
  { name: "made", label: "Made", hint: "Calls that upstreams got" },
];

const TOKENS = [
  { name: "saved", label: "Without an upstream call", hint: "Charged for requests that needed none of their own" },
  { name: "made", label: "With an upstream call", hint: "Charged for requests that an upstream was asked for" },
];

// Beyond these, lines cannot be told apart.
const MOST_LINES = 6;
const MOST_SAVING = 8;

const mean = (column) => {
  const told = column.filter((value) => value !== null);
  return told.length === 0 ? null : told.reduce((sum, value) => sum + value, 0) / told.length;
};

/** `Hit 12/s, Miss 3/s on average.`, of those that are not nothing. */
const averages = (format, unit) => (series, columns) => {
  const told = series
    .map(({ label }, index) => [label, mean(columns[index])])
    .filter(([, value]) => value > 0)
    .map(([label, value]) => `${label} ${format(value)}${unit}`);
  return told.length === 0 ? "Nothing in this time." : `On average: ${told.join(", ")}.`;
};

const perMinute = (column) => column.map((value) => (value === null ? null : value * 60));
const difference = (whole, part) => whole.map((value, at) => (value === null ? null : Math.max(0, value - part[at])));

export class Traffic {
  #answered = new Chart(find("#answered"), {
    title: "Requests by how they were answered",
    unit: "per second",
    kind: "stack",
    format: rate,
    sentence: averages(rate, "/s"),
  });
  #calls = new Chart(find("#calls-saved"), {
    title: "Upstream calls",
    unit: "per minute",
    kind: "stack",
    low: true,
    format: rate,
    sentence: averages(rate, " a minute"),
  });
  #tokens = new Chart(find("#tokens-charged"), {
    title: "Tokens charged",
    unit: "per minute",
    kind: "stack",
    low: true,
    format: rate,
    sentence: averages(rate, " a minute"),
  });
  #latency = new Chart(find("#latency"), {
    title: "Latency",
    unit: "mean of a call",
    kind: "lines",
    low: true,
    format: seconds,
    sentence: averages(seconds, ""),
  });
  #failures = new Chart(find("#failures"), {
    title: "Failed calls",
    unit: "per minute",
    kind: "stack",
    low: true,
    format: rate,
    sentence: averages(rate, " a minute"),
  });

  /** Draws the last `minutes` of `history`. */
  show(history, minutes) {
    const steps = history.steps(minutes);
    const counts = ANSWERED.map(({ name }) => rates(steps, ({ cache }) => cache[name]));
    this.#answered.show(ANSWERED, steps, counts);
    const saved = perMinute(rates(steps, (point) => point.saved_calls));
    this.#calls.show(CALLS, steps, [saved, perMinute(rates(steps, calls))]);
    const tokens = perMinute(rates(steps, (point) => point.tokens));
    const without = perMinute(rates(steps, (point) => point.saved_tokens));
    this.#tokens.show(TOKENS, steps, [without, difference(tokens, without)]);
    this.#showUpstreams(history.latest, steps);
  }

  recolour() {
    for (const chart of [this.#answered, this.#calls, this.#tokens, this.#latency, this.#failures]) chart.recolour();
  }

  #showUpstreams(latest, steps) {
    const busiest = Object.entries(latest?.upstreams ?? {}).toSorted(([, a], [, b]) => b.calls - a.calls);
    const names = busiest
      .slice(0, MOST_LINES)
      .map(([name]) => name)
      .toSorted();
    const series = names.map((name, index) => ({ name: `line-${index + 1}`, label: name }));
    const read = (name, member) => (point) => point.upstreams[name]?.[member] ?? 0;
    const latencies = names.map((name) => {
      const made = rates(steps, read(name, "calls"));
      return rates(steps, read(name, "seconds")).map((spent, at) => (made[at] > 0 ? spent / made[at] : null));
    });
    this.#latency.show(series, steps, latencies);
    const failing = names.map((name) => perMinute(rates(steps, read(name, "failed"))));
    const others = difference(
      perMinute(rates(steps, failed)),
      failing.reduce(
        sums,
        steps.map(() => 0),
      ),
    );
    const more = busiest.length > MOST_LINES;
    const rest = { name: "pass", label: "Others" };
    this.#failures.show(more ? [...series, rest] : series, steps, more ? [...failing, others] : failing);
  }
}

const sums = (one, other) => one.map((value, at) => value + (other[at] ?? 0));

const NOTHING = "Nothing saved yet: the second request for the same thing is the first that saves.";

/** A route's bar beside the longest, which stands for `longest` calls. */
function savingBar({ route, counted, saved }, longest) {
  const bar = element("span", { class: "bar-fill", "data-colour": "saved" });
  bar.style.inlineSize = `${(100 * saved.upstream_calls) / longest}%`;
  return element(
    "li",
    { "data-key": route },
    element("span", { class: "name", title: route }, route === "" ? "no route" : route),
    element("span", { class: "amount", title: several(saved.tokens, "token") }, big(saved.upstream_calls)),
    element("span", { class: "part" }, counted.requests > 0 ? share(saved.upstream_calls / counted.requests) : NONE),
    element("span", { class: "bar", "aria-hidden": true }, bar),
  );
}

/** The routes that the cache saved most for, as bars. */
export function showSaving(routes) {
  const saving = routes.filter(({ saved }) => saved.upstream_calls > 0);
  const most = saving.toSorted((a, b) => b.saved.upstream_calls - a.saved.upstream_calls).slice(0, MOST_SAVING);
  const told = JSON.stringify(most.map(({ route, counted, saved }) => [route, counted.requests, saved]));
  fillWith(find("#saved-by-route"), told, () => {
    const title = element("h3", {}, "Calls saved by route", element("span", { class: "unit" }, "since the start"));
    const rows = most.map((item) => savingBar(item, most[0].saved.upstream_calls));
    return [title, rows.length > 0 ? element("ol", { class: "bars" }, ...rows) : element("p", { class: "empty" }, NOTHING)];
  });
}
