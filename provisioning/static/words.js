// The words of this page, in the language that the unit wrote it in.

const words = JSON.parse(document.getElementById("words").textContent);

export const language = document.documentElement.lang;

// The words of `key` with each {place} filled; the key itself where there are none.
export function _(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
}

export const has = (key) => key in words;
