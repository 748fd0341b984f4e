// What the browser keeps for the page. One that keeps nothing for a site throws where it is asked to.

/** What is kept under a name in `localStorage` or `sessionStorage`, as `area` says; null where nothing is. */
export function kept(area, name) {
  try {
    return window[area].getItem(name);
  } catch {
    return null;
  }
}

/** Keeps a text, or with null nothing any more. Where that cannot be it holds until the page is left. */
export function keep(area, name, text) {
  try {
    if (text === null) window[area].removeItem(name);
    else window[area].setItem(name, text);
  } catch {
    // Said above.
  }
}
