// Small things to build and change elements with.

export const $ = (id) => document.getElementById(id);

/** Sets a property only when it is another one: nothing is laid out or read aloud for nothing. */
export function put(element, property, value) {
  if (element[property] !== value) element[property] = value;
}

export function attribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** make("p", { className: "soft", dataset: {...}, onclick: f }, child, ...): strings are text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  const { dataset = {}, attributes = {}, ...rest } = properties;
  Object.assign(element, rest);
  Object.assign(element.dataset, dataset);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

export const button = (words, onclick, className = "button", properties = {}) =>
  make("button", { type: "button", className, onclick, ...properties }, words);

/** An icon of the page's sheet. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Draws `items` into `list` when they are others than before; the focus stays on the button with the same `data-key`. */
export function draw(list, items, build) {
  const state = JSON.stringify(items);
  if (list.drawn === state) return;
  list.drawn = state;
  const focused = list.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  list.replaceChildren(...items.map(build));
  if (focused) list.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}
