// One chart over time: drawn by uPlot, coloured by the style sheet, and told in a sentence for who does not see it.

import { element, mark, say } from "./dom.js";
import { minute, second } from "./format.js";
import uPlot from "./vendor/uplot/uPlot.esm.js";

const TALL = 220;
const LOW = 170;
const NARROW = 520;
const FONT = '12px "Inter", system-ui, sans-serif';

const bars = uPlot.paths.bars({ size: [0.78, 22], align: 1 });
const linear = uPlot.paths.linear();

// Seconds between two times on the axis.
const TICKS = [60, 120, 300, 600, 900];

const widest = (labels) => Math.max(1, ...(labels ?? []).map((label) => label.length));

/** Sums from the first column up to each: what is painted from the last to the first looks stacked. */
function stacked(columns) {
  const sums = [];
  for (const column of columns) {
    const below = sums.at(-1);
    sums.push(column.map((value, at) => (value === null ? null : value + (below?.[at] ?? 0))));
  }
  return sums;
}

/**
 * `kind` is `stack`, bars on each other, or `lines`; `format` words a value, `unit` says what they are. `series` are
 * `{name, label}`; the style sheet has a colour for each `name`. `sentence` makes what is told of the whole from the
 * series and their columns.
 */
export class Chart {
  #options;
  #series = [];
  #steps = [];
  #columns = [];
  #plot = null;
  #colours = new Map();
  #legend = element("ul", { class: "legend" });
  #canvas = element("div", { class: "canvas", role: "img" });
  #told = element("figcaption", { class: "told" });
  #when = element("span", { class: "when" });

  constructor(host, options) {
    this.#options = options;
    const title = element("h3", {}, options.title, element("span", { class: "unit" }, options.unit));
    const head = element("div", { class: "chart-head" }, title, this.#when);
    host.append(element("figure", { class: "chart" }, head, this.#canvas, this.#legend, this.#told));
    new ResizeObserver(() => this.#fit()).observe(this.#canvas);
  }

  /** Shows a column of values for each of `series` over `steps`, which `history.steps` makes. */
  show(series, steps, columns) {
    this.#steps = steps;
    this.#columns = columns;
    const names = (some) => some.map(({ name, label }) => `${name} ${label}`).join("\n");
    if (names(series) !== names(this.#series)) this.#begin(series);
    const data = [steps.map(({ time }) => time), ...this.#drawn().reverse()];
    if (this.#plot === null) this.#make(data);
    else this.#plot.setData(data);
    this.#tell();
  }

  /** The style sheet's colours are others now. */
  recolour() {
    this.#colours.clear();
    this.#plot?.redraw();
  }

  #drawn() {
    return this.#options.kind === "stack" ? stacked(this.#columns) : [...this.#columns];
  }

  #begin(series) {
    this.#series = series;
    this.#plot?.destroy();
    this.#plot = null;
    this.#legend.replaceChildren(
      ...series.map(({ name, label, hint }) =>
        element(
          "li",
          { title: hint, "data-series": name },
          element("span", { class: "swatch", "data-colour": name, "aria-hidden": true }),
          element("span", { class: "label" }, label),
          element("span", { class: "value" }),
        ),
      ),
    );
    this.#colours.clear();
  }

  #make(data) {
    this.#plot = new uPlot({ ...this.#size(), ...this.#layout() }, data, this.#canvas);
  }

  #size() {
    const width = Math.max(200, this.#canvas.clientWidth);
    return { width, height: this.#options.low || width < NARROW ? LOW : TALL };
  }

  #fit() {
    const size = this.#size();
    if (this.#plot !== null && size.width !== this.#plot.width) this.#plot.setSize(size);
  }

  #layout() {
    const { kind, format } = this.#options;
    const axis = { stroke: () => this.#colour(".axis"), font: FONT, ticks: { show: false } };
    const grid = { stroke: () => this.#colour(".grid"), width: 1 };
    return {
      legend: { show: false },
      padding: [8, 18, 0, 0],
      cursor: {
        x: true,
        y: false,
        drag: { x: false, y: false },
        sync: { key: "time" },
        points: { show: kind === "lines" },
      },
      scales: {
        x: { time: true, range: () => this.#span() },
        y: { range: (_, __, most) => [0, most > 0 ? most * 1.12 : 1] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 28,
          space: 60,
          incrs: TICKS,
          values: (_, splits) => splits.map(minute),
        },
        {
          ...axis,
          grid,
          size: (_, labels) => 14 + 7 * widest(labels),
          space: 36,
          values: (_, splits) => splits.map(format),
        },
      ],
      series: [{}, ...this.#series.map(({ name }) => this.#line(name)).reverse()],
      hooks: { setCursor: [({ cursor }) => this.#values(cursor.idx ?? null)] },
    };
  }

  #line(name) {
    const colour = () => this.#colour(name);
    if (this.#options.kind === "stack") return { fill: colour, width: 0, paths: bars, points: { show: false } };
    return {
      stroke: colour,
      width: 2,
      paths: linear,
      points: { show: true, size: 4, width: 0, fill: colour },
    };
  }

  #span() {
    if (this.#steps.length < 2) return [0, 1];
    const [first, next] = this.#steps;
    return [first.time, this.#steps.at(-1).time + (next.time - first.time)];
  }

  /** As a probe in the legend has it: the browser resolves what the style sheet says. */
  #colour(name) {
    if (!this.#colours.has(name)) {
      const probe = element("span", { class: "swatch", "data-colour": name, hidden: true });
      this.#canvas.append(probe);
      this.#colours.set(name, getComputedStyle(probe).backgroundColor);
      probe.remove();
    }
    return this.#colours.get(name);
  }

  #tell() {
    const sentence = this.#options.sentence(this.#series, this.#columns);
    say(this.#told, sentence);
    mark(this.#canvas, "aria-label", `${this.#options.title}. ${sentence}`);
    this.#values(this.#plot?.cursor.idx ?? null);
  }

  /** The legend tells the step that is pointed at, else the latest that has values. */
  #values(at) {
    const pointed = at !== null && at < this.#steps.length;
    const shown = pointed
      ? at
      : this.#columns[0]?.findLastIndex((_, step) => this.#columns.some((c) => c[step] !== null));
    say(this.#when, pointed ? second(this.#steps[at].time) : "");
    this.#series.forEach((_, index) => {
      const value = this.#columns[index][shown] ?? null;
      say(this.#legend.children[index].lastChild, this.#options.format(value));
    });
  }
}
