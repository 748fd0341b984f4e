// Tables that are kept up to date in place, sorted by any column, narrowed by a text, and never longer than looked at.

import { element, mark, say } from "./dom.js";
import { NONE, count } from "./format.js";

const SHOWN = 20;

const collator = new Intl.Collator(undefined, { numeric: true });

function compared(a, b) {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  return typeof a === "number" ? a - b : collator.compare(a, b);
}

/**
 * One table. A column is
 *   name     for `data-column`; `title` heads it, `hint` explains that
 *   value    (item) => the raw value: what is sorted by, and told in `data-value`
 *   text     (value, item) => what people read; left out, the value itself
 *   fill     (cell, item) => puts more than a text into the cell
 *   numeric  whether it is aligned as numbers are
 *   search   whether the filter looks at its text
 * `key` makes an item's `data-key`, `empty` the nodes that are shown in place of no items at all, `order` is
 * [column's name, "ascending" | "descending"], and left out the items' own; `shown` is how many rows stand there first.
 */
export class Table {
  #options;
  #body = element("tbody");
  #heads = new Map();
  #rows = new Map();
  #scroll;
  #none = element("p", { class: "empty" });
  #more = element("button", { type: "button", class: "quiet more", hidden: true });
  #items = null;
  #filter = "";
  #order;
  #all = false;

  constructor(host, options) {
    this.#options = options;
    this.#order = options.order ?? null;
    const heads = options.columns.map((column) => this.#head(column));
    const table = element("table", {}, element("caption", { class: "unseen" }, options.caption));
    table.append(element("thead", {}, element("tr", {}, ...heads)), this.#body);
    this.#scroll = element("div", { class: "scroll", hidden: true }, table);
    this.#more.addEventListener("click", () => {
      this.#all = !this.#all;
      this.#draw();
    });
    say(this.#none, "Waiting for the gateway …");
    host.append(this.#scroll, this.#more, this.#none);
  }

  /** These are the items now. */
  show(items) {
    this.#items = items;
    this.#draw();
  }

  /** The next items have not come: says why, below those that stand there. */
  failed(message) {
    this.#none.hidden = false;
    say(this.#none, this.#items === null ? message : `${message} What stands here is of before.`);
  }

  /** Only rows that hold this text, in any case. */
  filter(text) {
    this.#filter = text.toLowerCase();
    if (this.#items !== null) this.#draw();
  }

  #head(column) {
    const button = element("button", { type: "button", title: column.hint }, column.title);
    const head = element("th", { scope: "col", class: column.numeric ? "number" : null, "data-column": column.name });
    if (column.value === undefined) {
      head.append(element("span", { class: "unseen" }, column.title));
      return head;
    }
    button.addEventListener("click", () => this.#sort(column));
    head.append(button);
    this.#heads.set(column.name, head);
    return head;
  }

  #sort(column) {
    const first = column.numeric ? "descending" : "ascending";
    const second = column.numeric ? "ascending" : "descending";
    const again = this.#order?.[0] === column.name && this.#order[1] === first;
    this.#order = [column.name, again ? second : first];
    if (this.#items !== null) this.#draw();
  }

  #draw() {
    const found = this.#sorted(this.#items.filter((item) => this.#matches(item)));
    const { shown: most = SHOWN } = this.#options;
    const shown = this.#all ? found : found.slice(0, most);
    this.#place(shown);
    for (const [name, head] of this.#heads) {
      if (this.#order?.[0] === name) mark(head, "aria-sort", this.#order[1]);
      else head.removeAttribute("aria-sort");
    }
    this.#scroll.hidden = found.length === 0;
    this.#more.hidden = found.length <= most;
    say(this.#more, this.#all ? `Show the first ${most}` : `Show all ${count(found.length)}`);
    this.#none.hidden = found.length > 0;
    if (this.#items.length === 0) this.#none.replaceChildren(...this.#options.empty());
    else if (found.length === 0) say(this.#none, `Nothing here matches “${this.#filter}”.`);
  }

  #matches(item) {
    if (this.#filter === "") return true;
    const searched = this.#options.columns.filter((column) => column.search);
    const texts = searched.flatMap((column) => [this.#text(column, item), String(column.value(item) ?? "")]);
    return texts.some((text) => text.toLowerCase().includes(this.#filter));
  }

  #sorted(items) {
    if (this.#order === null) return items;
    const [name, direction] = this.#order;
    const { value } = this.#options.columns.find((column) => column.name === name);
    const sign = direction === "ascending" ? 1 : -1;
    return items.toSorted((a, b) => sign * compared(value(a), value(b)));
  }

  #text(column, item) {
    const value = column.value?.(item) ?? null;
    return column.text === undefined ? String(value ?? NONE) : column.text(value, item);
  }

  /** Rows stay the same elements as long as their items do, so that focus and selection outlive an update. */
  #place(items) {
    const former = this.#rows;
    this.#rows = new Map();
    let at = this.#body.firstChild;
    for (const item of items) {
      const key = this.#options.key(item);
      const row = former.get(key) ?? this.#row(key);
      former.delete(key);
      this.#rows.set(key, row);
      this.#update(row, item);
      if (row === at) at = at.nextSibling;
      else this.#body.insertBefore(row, at);
    }
    for (const row of former.values()) row.remove();
  }

  #row(key) {
    const cells = this.#options.columns.map((column) =>
      element("td", { "data-column": column.name, class: column.numeric ? "number" : null }),
    );
    return element("tr", { "data-key": key }, ...cells);
  }

  #update(row, item) {
    this.#options.columns.forEach((column, index) => {
      const cell = row.children[index];
      const value = column.value?.(item) ?? null;
      mark(cell, "data-value", value ?? "");
      if (column.fill !== undefined) column.fill(cell, item);
      else say(cell, this.#text(column, item));
      if (column.exact && value !== null) mark(cell, "title", column.exact(value, item));
    });
  }
}
