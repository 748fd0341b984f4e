// Refreshes: how they go, beginning one, cancelling one.

import { element, fillWith, find, inline, onSubmit, result } from "./dom.js";
import { NONE, clock, count, full, seconds } from "./format.js";
import { Table } from "./table.js";
import { badge, words } from "./tables.js";

const MOST = 50;
const UNDER_WAY = ["pending", "running"];
const KINDS = { pending: "", running: "fair", done: "good", failed: "bad", cancelled: "" };

/** The path of the last refreshes. */
export const REFRESHES = `-/refreshes?most=${MOST}`;

const about = ({ url, background, subject }) =>
  background === null ? (url ?? NONE) : `${background}${subject === null ? ", all subjects" : `, ${subject}`}`;

const took = ({ began, ended }) => (ended === null ? null : (Date.parse(ended) - Date.parse(began)) / 1000);

function fillProgress(cell, { progress, state }) {
  const { total, done, failed } = progress;
  const ended = done + failed;
  const told = `${count(ended)} of ${count(total)}${failed > 0 ? `, ${count(failed)} failed` : ""}`;
  fillWith(cell, `${state} ${told}`, () => {
    const bar = element("progress", { max: Math.max(1, total), value: ended, "aria-label": told });
    return [element("span", { class: "meter" }, bar, told)];
  });
}

const COLUMNS = [
  words("what", "What", about),
  {
    name: "state",
    title: "State",
    value: ({ state }) => state,
    search: true,
    fill: (cell, { state, reason }) =>
      fillWith(cell, `${state} ${reason}`, () => [
        badge(KINDS[state], state),
        ...(reason === null ? [] : [` ${reason.replaceAll("_", " ")}`]),
      ]),
  },
  { name: "progress", title: "Progress", value: ({ progress }) => progress.done, fill: fillProgress },
  {
    name: "subjects",
    title: "Subjects",
    value: ({ subjects }) => subjects?.done ?? null,
    text: (_, { subjects }) =>
      subjects === null ? NONE : `${count(subjects.done + subjects.failed)} of ${count(subjects.total)}`,
  },
  words("account", "For", ({ account }) => account, { text: (account) => account ?? "everybody" }),
  { name: "began", title: "Began", value: ({ began }) => began, text: clock, exact: full },
  {
    name: "took",
    title: "Took",
    value: took,
    text: (spent) => (spent === 0 ? "< 1 s" : seconds(spent)),
    numeric: true,
  },
];

/** The table; a row of what is under way has a button that cancels it. */
export function refreshesTable(connection, changed) {
  const cancel = async (id) => {
    const told = find("#refresh-result");
    try {
      await connection.ask(`-/refreshes/${encodeURIComponent(id)}`, { method: "DELETE" });
      result(told, "good", "Cancelled: what had begun goes on to its end.");
    } catch (error) {
      result(told, "bad", ...inline(error.message));
    }
    changed();
  };
  const fill = (cell, job) => {
    const able = UNDER_WAY.includes(job.state);
    fillWith(cell, `${able}`, () => {
      if (!able) return [];
      const button = element(
        "button",
        { type: "button", class: "quiet", "aria-label": `Cancel ${about(job)}` },
        "Cancel",
      );
      button.addEventListener("click", async () => {
        button.disabled = true;
        await cancel(job.id);
        button.disabled = false;
      });
      return [button];
    });
  };
  return new Table(find("#refreshes-table"), {
    caption: "The last refreshes",
    shown: 10,
    columns: [...COLUMNS, { name: "cancel", title: "Cancel", fill }],
    key: ({ id }) => id,
    empty: () => ["Nothing has been refreshed in the background yet."],
  });
}

/** The names of background refreshes that were seen, for the form to offer. */
export function offerNames(refreshes) {
  const names = [...new Set(refreshes.map(({ background }) => background).filter((name) => name !== null))].toSorted();
  fillWith(find("#backgrounds"), names.join("\n"), () => names.map((name) => element("option", { value: name })));
}

/** Wires the form that begins a refresh; `begun` is called once one has. */
export function wireRefresh(connection, begun) {
  const form = find("#refresh-form");
  const told = find("#refresh-result");

  onSubmit(form, told, async (fields) => {
    const [url, background, subject] = ["url", "background", "subject"].map((name) => fields[name].value.trim());
    if ((url === "") === (background === ""))
      throw new Error("Say a URL, or the name of a background refresh: one of them.");
    const content = url === "" ? { background, ...(subject === "" ? {} : { subject }) } : { url };
    result(told, "", "Beginning …");
    const job = await connection.ask("-/refreshes", { method: "POST", content });
    const joined = job.how === "joined" || job.how === "widened" ? "It joins what was under way" : "Begun";
    result(told, "good", `${joined}: ${about(job)}. `, element("code", {}, job.id));
    begun();
  });
}
