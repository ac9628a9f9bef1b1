import { $, make } from "./dom.js";
import { _ } from "./words.js";

/** Asks before something that cannot be taken back. `choices` are {value: words} of a select, `note` asks for words to
 *  tell. Resolves to {choice, note}, or null when the person thinks better of it. */
export function confirm({ title, text, yes, choices = null, choiceWords = "", note = false }) {
  const dialog = $("confirm-dialog");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  $("confirm-choice-field").hidden = !choices;
  $("confirm-choice-words").textContent = choiceWords;
  $("confirm-choice").replaceChildren(
    ...Object.entries(choices ?? {}).map(([value, words]) => make("option", { value }, words)),
  );
  $("confirm-note-field").hidden = !note;
  $("confirm-note").value = "";
  dialog.returnValue = "";
  dialog.showModal();
  $("confirm-no").textContent = _("common.cancel");
  $("confirm-no").focus();
  return new Promise((resolve) => {
    const close = () => {
      const { value: choice } = $("confirm-choice");
      resolve(dialog.returnValue === "yes" ? { choice, note: $("confirm-note").value.trim() } : null);
    };
    dialog.addEventListener("close", close, { once: true });
  });
}
