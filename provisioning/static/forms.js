// Forms that say beside each input what is wrong with it, and show that they work when it takes a moment.

import { Refused, say, words } from "./api.js";
import { _, has } from "./words.js";

const SPINNER_MS = 300; // what takes less needs no spinner

const VALUE_CODES = new Set(["bad-request", "invalid", "settings"]); // say that a value is wrong, not what about it

// Words for a refusal in the reader's language where we have them, else the unit's own. `about`: the form, whose fields
// have words of their own (`setup.bad_wifi_password`).
export function errorWords(error, about = "") {
  if (!(error instanceof Refused)) return words(error);
  const keys = [`common.error_${error.code}`];
  if (VALUE_CODES.has(error.code)) keys.push(`setup.bad_${about}_${error.field.replace(".", "_")}`);
  const key = keys.find(has);
  return key ? _(key) : words(error);
}

export function problem(input, text) {
  const place = document.getElementById(`${input.id}-problem`);
  place.textContent = text;
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

// Nothing is wrong any more, as far as we know.
export function clear(form) {
  for (const input of form.querySelectorAll("[aria-invalid]")) problem(input, "");
  const general = form.querySelector("[data-problem]");
  if (general) general.hidden = true;
}

// Says what is wrong: beside the input that is to blame, else in the form's own place. `fields`: input of each field.
export function blame(form, error, fields = {}) {
  const input = error instanceof Refused ? fields[error.field] : undefined;
  if (input) {
    problem(input, errorWords(error, form.dataset.about));
    input.focus();
    return;
  }
  const general = form.querySelector("[data-problem]");
  general.hidden = false;
  general.textContent = errorWords(error, form.dataset.about);
}

// `work` with the button at rest and turning; one at a time.
export async function busy(button, work) {
  if (button.getAttribute("aria-busy") === "true") return undefined;
  button.setAttribute("aria-busy", "true");
  const spinner = document.createElement("span");
  spinner.className = "spinner";
  const timer = setTimeout(() => {
    button.prepend(spinner);
    say(_("common.working"));
  }, SPINNER_MS);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
    spinner.remove();
    button.removeAttribute("aria-busy");
  }
}

// `run` when `form` is sent; what it throws is said beside the inputs.
export function onSubmit(form, run, fields = () => ({})) {
  const button = form.querySelector("button[type=submit]");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clear(form);
    busy(button, async () => {
      try {
        await run();
      } catch (error) {
        blame(form, error, fields());
      }
    });
  });
}

// Every "show" button beside a password.
export function wireReveals(root = document) {
  for (const button of root.querySelectorAll("[data-reveal]")) {
    const input = document.getElementById(button.dataset.reveal);
    const label = document.querySelector(`label[for="${input.id}"]`);
    const paint = () => {
      const shown = input.type === "text";
      button.textContent = _(shown ? "common.hide" : "common.show");
      button.setAttribute("aria-label", `${button.textContent}: ${label.textContent}`);
      button.setAttribute("aria-pressed", String(shown));
    };
    button.hidden = false;
    button.addEventListener("click", () => {
      input.type = input.type === "password" ? "text" : "password";
      paint();
      input.focus();
    });
    paint();
  }
}
