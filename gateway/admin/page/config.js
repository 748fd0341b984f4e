// The config: how its last load ended, every mistake with its place, and loading it again.

import { element, find, inline, result } from "./dom.js";
import { count, full, several } from "./format.js";
import { badge } from "./tables.js";

const CONFIG = "-/config";
const LISTED = 20;

/** `config.yaml:12:3` of a mistake, as `gateway check` prints it. */
const place = ({ file, line, column }) => (line === 0 ? file : `${file}:${line}:${column}`);

/** The first of a list, and how many more there are: a generated config has one for each of its thousand parts. */
const listed = (kind, nodes) => {
  const more = nodes.length - LISTED;
  const rest = more > 0 ? [element("li", { class: "hint" }, `and ${count(more)} more`)] : [];
  return element("ul", { class: kind }, ...nodes.slice(0, LISTED), ...rest);
};

/** Mistakes or warnings as a list. */
const placed = (mistakes) =>
  listed(
    "mistakes",
    mistakes.map((mistake) =>
      element("li", {}, element("code", {}, place(mistake)), " ", element("span", {}, ...inline(mistake.message))),
    ),
  );

const plain = (changes) =>
  listed(
    "plain",
    changes.map((change) => element("li", {}, ...inline(change))),
  );

function told({ ok, loaded_at: loadedAt, attempted_at: attemptedAt, errors, warnings, files, changes }) {
  const state = ok
    ? element("p", {}, badge("good", "in order"), ` In operation since ${full(loadedAt)}.`)
    : element(
        "p",
        {},
        badge("bad", "refused"),
        ` Since ${full(attemptedAt)} the files have mistakes: the config of ${full(loadedAt)} serves on.`,
      );
  const section = (title, nodes) => [element("h3", {}, title), ...nodes];
  return [
    state,
    ...(errors.length > 0 ? section(several(errors.length, "mistake"), [placed(errors)]) : []),
    ...(warnings.length > 0 ? section(several(warnings.length, "warning"), [placed(warnings)]) : []),
    ...(changes.length > 0 ? section("What the last load changed", [plain(changes)]) : []),
    element(
      "p",
      { class: "hint" },
      "Read from ",
      ...files.flatMap((file, at) => [at > 0 ? ", " : "", element("code", {}, file)]),
    ),
  ];
}

/** Wires the section. What it returns is to be called with each overview: a load that it tells of is shown. */
export function wireConfig(connection) {
  let shown = null;

  async function show() {
    const status = await connection.ask(CONFIG);
    find("#config-status").replaceChildren(...told(status));
  }

  find("#reload").addEventListener("click", async () => {
    const ended = find("#reload-result");
    try {
      result(ended, "", "Loading …");
      const status = await connection.ask("-/config/reload", { method: "POST", deadline: 60_000 });
      result(
        ended,
        "good",
        status.changes.length === 0
          ? "Loaded: nothing has changed."
          : `Loaded: ${several(status.changes.length, "change")}.`,
      );
    } catch (error) {
      result(ended, "bad", ...inline(error.message), ...(error.errors?.length > 0 ? [placed(error.errors)] : []));
    }
    shown = null;
  });

  return async ({ started_at: started, config }) => {
    const load = `${started} ${config.attempted_at} ${config.ok}`;
    if (load === shown) return;
    shown = load;
    try {
      await show();
    } catch {
      // The next overview has it asked for again.
      shown = null;
    }
  };
}
