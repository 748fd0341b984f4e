// Numbers, sizes, durations and moments as people read them. Numbers go by the reader's locale, words are English.

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumSignificantDigits: 4 });
const small = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 2 });
const short = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const percent = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const timeOfDay = new Intl.DateTimeFormat(undefined, { ...time, second: "2-digit" });
const hourAndMinute = new Intl.DateTimeFormat(undefined, time);
const dayAndTime = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", ...time });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long", hourCycle: "h23" });

/** What stands where there is no value. */
export const NONE = "–";

const MANY = 1e6;
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB"];
const SPANS = [
  [86400, "d", 3600, "h"],
  [3600, "h", 60, "min"],
  [60, "min", 1, "s"],
];

const orNone = (format) => (value) => (value === null || value === undefined ? NONE : format(value));

/** 1,234 in full. */
export const count = orNone((value) => whole.format(value));

/** 1,234 in full, 12.3M from a million on. */
export const big = orNone((value) => (Math.abs(value) < MANY ? whole.format(value) : compact.format(value)));

/** 0.734 as 73.4%. */
export const share = orNone((value) => percent.format(value));

/** So many in a second, without the unit. */
export const rate = orNone((value) => (value < 10 ? small.format(value) : big(Math.round(value))));

/** 1536 as 1.5 KiB. */
export const bytes = orNone((value) => {
  const power = value < 1 ? 0 : Math.min(BINARY.length - 1, Math.floor(Math.log2(value) / 10));
  return `${short.format(value / 1024 ** power)} ${BINARY[power]}`;
});

/** Seconds as 0.4 ms, 12 ms, 3.21 s, 4 min 5 s, 2 d 3 h. */
export const seconds = orNone((value) => {
  if (value < 0) return `−${seconds(-value)}`;
  if (value < 1) return `${short.format(value * 1000)} ms`;
  const span = SPANS.find(([length]) => value >= length);
  if (span === undefined) return `${short.format(value)} s`;
  const [length, unit, part, partUnit] = span;
  const rest = Math.floor((value % length) / part);
  return `${Math.floor(value / length)} ${unit}${rest > 0 ? ` ${rest} ${partUnit}` : ""}`;
});

/** The time of day of an ISO 8601 moment, and the day unless that is today. */
export const clock = orNone((iso) => {
  const date = new Date(iso);
  const today = new Date().toDateString() === date.toDateString();
  return (today ? timeOfDay : dayAndTime).format(date);
});

/** An ISO 8601 moment in full, with its time zone. */
export const full = orNone((iso) => moment.format(new Date(iso)));

/** 14:05 of seconds since the epoch. */
export const minute = (epoch) => hourAndMinute.format(new Date(epoch * 1000));

/** 14:05:10 of seconds since the epoch. */
export const second = (epoch) => timeOfDay.format(new Date(epoch * 1000));

/** `1 response`, `2 responses`. */
export const several = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
