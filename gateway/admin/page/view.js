// What the reader has chosen to see: a text that narrows the tables and a time range. Both are kept in the address.

import { find, mark } from "./dom.js";
import { STEPS } from "./history.js";

const USUAL = 15;

export class View {
  text = "";
  minutes = USUAL;
  #told;

  /** `filtered` is told each new text, `ranged` each new number of minutes. */
  constructor({ filtered, ranged }) {
    this.#told = { filtered, ranged };
    find("#filter").addEventListener("input", ({ target }) => this.#choose(target.value.trim(), this.minutes));
    find("#range").addEventListener("click", ({ target }) => {
      if (target.dataset.minutes !== undefined) this.#choose(this.text, Number(target.dataset.minutes));
    });
    document.addEventListener("click", jump);
    addEventListener("hashchange", () => this.#read());
    // Whoever made this has yet to keep it.
    queueMicrotask(() => this.#read());
  }

  #read() {
    const kept = new URLSearchParams(location.hash.slice(1));
    const minutes = Number(kept.get("minutes"));
    this.#adopt(kept.get("filter") ?? "", STEPS.has(minutes) ? minutes : USUAL);
    if (find("#filter").value.trim() !== this.text) find("#filter").value = this.text;
  }

  #choose(text, minutes) {
    const kept = new URLSearchParams();
    if (text !== "") kept.set("filter", text);
    if (minutes !== USUAL) kept.set("minutes", minutes);
    window.history.replaceState(null, "", kept.size > 0 ? `#${kept}` : location.pathname + location.search);
    this.#adopt(text, minutes);
  }

  #adopt(text, minutes) {
    this.text = text;
    this.minutes = minutes;
    for (const button of find("#range").children) {
      mark(button, "aria-pressed", Number(button.dataset.minutes) === minutes);
    }
    this.#told.filtered(text);
    this.#told.ranged();
  }
}

/** Goes to a section without writing it into the address, which keeps the filter. */
function jump(event) {
  const link = event.target.closest?.("a[href^='#']") ?? null;
  if (link === null) return;
  event.preventDefault();
  const aim = find(link.getAttribute("href"));
  aim.scrollIntoView();
  const focused = aim.matches("main") ? aim : aim.querySelector("h2");
  focused.tabIndex = -1;
  focused.focus({ preventScroll: true });
}
