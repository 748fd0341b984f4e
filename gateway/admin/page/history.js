// What the gateway counted every few seconds in the last hour, cut into the steps that the charts show.

/** Seconds of a step, by the minutes that are looked at: 60 steps each. */
export const STEPS = new Map([
  [5, 5],
  [15, 15],
  [60, 60],
]);

const KEPT = 720;
// Points that the present pace is taken from.
const PACE = 3;

export class History {
  #points = [];
  #next = null;

  /** The path that brings what is new. */
  get path() {
    return this.#next === null ? "-/history" : `-/history?after=${this.#next}`;
  }

  /** Takes an answer of `/-/history`; where that begins anew, so does this. */
  add({ points, next }) {
    this.#next = next;
    if (points.length === 0) return;
    const told = points.map((point) => ({ ...point, time: Date.parse(point.at) / 1000 }));
    const last = this.#points.at(-1);
    const anew = last !== undefined && (told[0].n !== last.n + 1 || told[0].requests < last.requests);
    this.#points = [...(anew ? [] : this.#points), ...told].slice(-KEPT);
  }

  /** The gateway has started again: what was counted before has no continuation. */
  clear() {
    this.#points = [];
    this.#next = null;
  }

  get latest() {
    return this.#points.at(-1) ?? null;
  }

  /** The last `minutes` as steps `{time, before, after}`, oldest first: `time` is where the step begins, in seconds
   * since the epoch; `before` and `after` are the points that enclose it, both null where none tell of it. */
  steps(minutes) {
    const { latest } = this;
    if (latest === null) return [];
    const step = STEPS.get(minutes);
    const lastOf = new Map(this.#points.map((point) => [Math.floor(point.time / step), point]));
    const end = Math.floor(latest.time / step);
    const made = [];
    let before = this.#before((end - minutes * (60 / step) + 1) * step);
    for (let number = end - minutes * (60 / step) + 1; number <= end; number += 1) {
      const after = lastOf.get(number) ?? null;
      const told = before !== null && after !== null && after !== before;
      made.push({ time: number * step, before: told ? before : null, after: told ? after : null });
      before = after ?? before;
    }
    return made;
  }

  /** What `read` has grown by in the last `minutes`; null where nothing tells. */
  grown(minutes, read) {
    const { latest } = this;
    if (latest === null) return null;
    const since = this.#before(latest.time - minutes * 60) ?? this.#points[0];
    return read(latest) - read(since);
  }

  /** What `read` has grown by in a second, in the last few of them; null where nothing tells. */
  pace(read) {
    const before = this.#points.at(-PACE);
    const { latest } = this;
    if (before === undefined || latest.time <= before.time) return null;
    return (read(latest) - read(before)) / (latest.time - before.time);
  }

  #before(time) {
    return this.#points.findLast((point) => point.time < time) ?? null;
  }
}

/** What `read` grew by in each step, in a second; null where nothing tells. */
export const rates = (steps, read) =>
  steps.map(({ before, after }) =>
    after === null ? null : Math.max(0, read(after) - read(before)) / Math.max(1e-3, after.time - before.time),
  );

/** What `part` grew by, in proportion to `whole`, in each step; null where `whole` did not grow. */
export const proportions = (steps, part, whole) =>
  steps.map(({ before, after }) => {
    const grown = after === null ? 0 : whole(after) - whole(before);
    return grown > 0 ? (part(after) - part(before)) / grown : null;
  });

/** All requests that the cache was asked for, and those of them that it answered, as the hit ratio has it. */
export const asked = ({ cache }) =>
  cache.hit + cache.stale + cache.validated + cache.miss + cache.refresh + cache.collapsed;
export const served = ({ cache }) => cache.hit + cache.stale;
