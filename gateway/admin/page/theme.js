// Light or dark: what the system prefers, unless the reader has chosen otherwise here.

import { keep, kept } from "./storage.js";

const KEPT = "gateway.theme";
const root = document.documentElement;
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function effective() {
  return root.dataset.theme ?? (systemDark.matches ? "dark" : "light");
}

function adopt(choice) {
  if (choice === "light" || choice === "dark") root.dataset.theme = choice;
  else delete root.dataset.theme;
}

/** Has `button` change the theme; `changed` is called whenever another one is in effect, by whatever cause. */
export function watchTheme(button, changed) {
  const tell = () => {
    const other = effective() === "dark" ? "Light" : "Dark";
    button.textContent = other;
    button.title = `Use ${other.toLowerCase()} colours`;
    changed();
  };
  button.addEventListener("click", () => {
    const wanted = effective() === "dark" ? "light" : "dark";
    const choice = wanted === (systemDark.matches ? "dark" : "light") ? null : wanted;
    keep("localStorage", KEPT, choice);
    adopt(choice);
    tell();
  });
  systemDark.addEventListener("change", tell);
  tell();
}

adopt(kept("localStorage", KEPT));
