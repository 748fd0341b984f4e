// The two dialogs: one asks whether to go on, one for the token.

import { element, find, result, say } from "./dom.js";
import { Refused } from "./connection.js";

/** Whether the reader says yes; `targets` are listed below the sentence. Escape says no. */
export function confirmed(title, sentence, targets) {
  const dialog = find("#confirm");
  say(find("#confirm-title"), title);
  say(find("#confirm-text"), sentence);
  find("#confirm-list").replaceChildren(...targets.map((target) => element("li", {}, target)));
  const answered = new AbortController();
  return new Promise((resolve) => {
    const options = { signal: answered.signal };
    find("#confirm-yes").addEventListener("click", () => dialog.close("yes"), options);
    find("#confirm-no").addEventListener("click", () => dialog.close("no"), options);
    dialog.addEventListener(
      "close",
      () => {
        answered.abort();
        resolve(dialog.returnValue === "yes");
      },
      options,
    );
    dialog.returnValue = "no";
    dialog.showModal();
    find("#confirm-no").focus();
  });
}

/** Asks for the token whenever the connection is locked; `#unlock` asks again for one who said not now. */
export function askForToken(connection) {
  const dialog = find("#token-dialog");
  const form = find("#token-form");
  const told = find("#token-result");

  function open() {
    if (dialog.open) return;
    result(
      told,
      "bad",
      ...(connection.presents ? ["The token that was given is wrong, or not the right one any more."] : []),
    );
    dialog.showModal();
    form.elements.token.focus();
  }

  connection.addEventListener("change", () => {
    find("#unlock").hidden = connection.state !== "locked";
    if (connection.state === "locked") open();
    else dialog.close();
  });
  find("#unlock").addEventListener("click", open);
  find("#token-later").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = form.elements.token;
    try {
      await connection.unlock(field.value.trim());
      form.reset();
      dialog.close();
    } catch (error) {
      const wrong = error instanceof Refused && error.status === 401;
      result(told, "bad", wrong ? "This token is wrong." : error.message);
      field.select();
    }
  });
}
