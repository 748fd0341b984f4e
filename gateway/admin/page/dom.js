// Elements of the page. Whatever comes from outside goes in as text or as the value of an attribute, never as markup.

/** An element with `attributes` and `children`, strings or nodes; an attribute that is null or false is left out. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(attribute, value === true ? "" : String(value));
    }
  }
  made.append(...children);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** The same of an SVG element. */
export function drawing(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, String(value));
  made.append(...children);
  return made;
}

export const find = (selector) => document.querySelector(selector);

/** Puts `text` in where it is not there yet: what is selected in it, or read out, stays as it is. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute where it has another value. */
export function mark(node, attribute, value) {
  const text = String(value);
  if (node.getAttribute(attribute) !== text) node.setAttribute(attribute, text);
}

/** Words in which `…` marks what is code, as the gateway's own messages have it. */
export const inline = (text) => text.split("`").map((piece, at) => (at % 2 === 1 ? element("code", {}, piece) : piece));

const filled = new WeakMap();

/** Puts what `make` returns into a node, again only where `text`, which says all of it, has changed. */
export function fillWith(node, text, make) {
  if (filled.get(node) === text) return;
  filled.set(node, text);
  node.replaceChildren(...make());
}

/** Shows the figure of a name: `text` for people, `raw` for machines, and on hovering `title`. */
export function figure(name, raw, text, title = null) {
  const node = find(`[data-figure="${name}"]`);
  mark(node, "data-value", raw ?? "");
  mark(node, "title", title ?? (raw === null ? "" : `${raw}`));
  say(node, text);
}

/** Has `work` done with the form's elements whenever it is sent, one at a time; what it throws is said in `told`. */
export function onSubmit(form, told, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.getAttribute("aria-busy") === "true") return;
    form.setAttribute("aria-busy", "true");
    try {
      await work(form.elements);
    } catch (error) {
      result(told, "bad", ...inline(error.message));
    } finally {
      form.removeAttribute("aria-busy");
    }
  });
}

/** Says how something ended; `kind` is `good`, `bad`, or empty while it goes on. */
export function result(node, kind, ...children) {
  node.dataset.kind = kind;
  node.replaceChildren(...children);
}
