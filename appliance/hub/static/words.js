// The words of this page, in the language that the hub wrote it in.

const words = JSON.parse(document.getElementById("words").textContent);

export const language = document.documentElement.lang;

export const has = (key) => key in words;

/** The words of `key` with each {place} filled; the key itself where there are none. */
export function _(key, places = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (place, name) => places[name] ?? place);
}

const plural = new Intl.PluralRules(language);

/** The words of `key_one`, `key_other` ... for so many; {n} is the number. */
export function counted(key, n) {
  const form = `${key}_${plural.select(n)}`;
  return _(has(form) ? form : `${key}_other`, { n });
}

/** "14:05", with the day when it is another one. */
export function clock(ms) {
  const at = new Date(ms);
  const time = at.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
  const day = at.toLocaleDateString(language, { day: "numeric", month: "short" });
  return at.toDateString() === new Date().toDateString() ? time : `${day}, ${time}`;
}

/** Fills what stands still: every element with `data-words` gets the words of that key. */
export function fillIn(root) {
  for (const element of root.querySelectorAll("[data-words]")) element.textContent = _(element.dataset.words);
}
