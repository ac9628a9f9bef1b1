// One key of the settings as a field: built from what the schema says about it, read back as the value it stands for.

import { problem } from "./forms.js";
import { _, has } from "./words.js";

export const nameOf = ({ section, key }) => `${section}.${key}`;

// "gpio.mute_led" in the reader's words; a key that we have no word for keeps its own.
export function labelOf(name) {
  const key = `settings.key_${name.replace(".", "_")}`;
  return has(key) ? _(key) : name;
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const isList = (info) => info.max_items !== null;
const shown = (value) => (Array.isArray(value) ? value.join(", ") : value === null ? "" : String(value));

function unitOf({ unit }) {
  return has(`settings.unit_${unit}`) ? _(`settings.unit_${unit}`) : unit;
}

function bounds(info) {
  const { minimum: from, maximum: to } = info;
  const unit = unitOf(info);
  const words = [];
  if (isList(info)) words.push(_("settings.list_of", { count: info.max_items }));
  if (info.type === "integer" && from !== null) words.push(_("settings.range", { from, to, unit }).trim());
  if (info.type === "text" && to !== null && !isList(info)) words.push(_("settings.length", { count: to }));
  if (!info.secret && info.type !== "boolean") {
    words.push(_("settings.default", { value: shown(info.default) || _("settings.empty") }));
  }
  return words.join(" · ");
}

function control(info, id, describedBy) {
  const common = { id, disabled: info.fixed };
  let input;
  if (info.type === "choice") {
    input = element("select", common, ...info.choices.map((choice) => element("option", { value: choice, textContent: choice })));
  } else if (info.type === "boolean") {
    input = element("input", { ...common, type: "checkbox" });
  } else if (info.type === "integer" && !isList(info)) {
    input = element("input", { ...common, type: "number", inputMode: "numeric" });
    if (info.minimum !== null) input.min = info.minimum;
    if (info.maximum !== null) input.max = info.maximum;
    if (info.step !== null) input.step = info.step;
  } else {
    input = element("input", { ...common, type: info.secret ? "password" : "text", autocomplete: "off", spellcheck: false });
    input.setAttribute("autocapitalize", "none");
    if (info.secret) input.autocomplete = "new-password";
  }
  input.setAttribute("aria-describedby", describedBy);
  return input;
}

export class Field {
  constructor(info, onInput) {
    this.info = info;
    this.name = nameOf(info);
    const id = `key-${info.section}-${info.key}`;
    this.input = control(info, id, `${id}-hint ${id}-bounds ${id}-problem`);
    this.input.addEventListener("input", () => this.#changed(onInput));
    const help = has(`settings.help_${info.section}_${info.key}`) ? _(`settings.help_${info.section}_${info.key}`) : info.help;
    const badge = info.fixed ? _("settings.fixed") : info.live ? "" : _("settings.needs_restart");
    const label = element("label", { htmlFor: id, textContent: labelOf(this.name) });
    const box = info.type === "boolean" ? element("div", { className: "switch" }, this.input, element("span", { textContent: help })) : null;
    const unit = info.unit && !box ? element("span", { className: "soft", textContent: unitOf(info) }) : null;
    this.clear = info.secret ? element("button", { type: "button", className: "button quiet", textContent: _("settings.secret_clear") }) : null;
    this.clear?.setAttribute("aria-label", `${_("settings.secret_clear")}: ${label.textContent}`);
    this.clear?.addEventListener("click", () => {
      this.input.value = "";
      this.wantsNothing = true;
      this.#changed(onInput);
    });
    this.root = element(
      "div",
      { className: "field" },
      element("div", { className: "label-row" }, label, badge ? element("span", { className: "badge", textContent: badge }) : null),
      box ?? element("div", { className: "with-unit" }, this.input, unit, this.clear),
      element("p", { id: `${id}-hint`, className: "hint", textContent: box ? "" : help, hidden: Boolean(box) }),
      element("p", { id: `${id}-bounds`, className: "bounds", textContent: bounds(info) }),
      element("p", { id: `${id}-problem`, className: "problem" }),
    );
    if (box) this.input.setAttribute("aria-describedby", `${id}-help ${id}-problem`), (box.lastChild.id = `${id}-help`);
    this.root.lastChild.setAttribute("role", "alert");
  }

  // What the unit has: the field shows it, and is unchanged.
  set(value) {
    this.saved = value;
    this.wantsNothing = false;
    if (this.info.type === "boolean") this.input.checked = value;
    else if (this.info.secret) this.input.value = "";
    else this.input.value = shown(value);
    if (this.info.secret) {
      this.input.placeholder = value ? _("settings.secret_set") : _("settings.secret_unset");
      this.clear.hidden = !value;
    }
    delete this.root.dataset.changed;
    problem(this.input, "");
  }

  // The value that the field stands for; what it cannot stand for is sent as it was typed, for the unit to refuse.
  get value() {
    const { info, input } = this;
    if (info.secret) return this.wantsNothing && !input.value ? null : input.value || this.saved;
    if (info.type === "boolean") return input.checked;
    const text = input.value.trim();
    if (isList(info)) {
      const items = text.split(/[\s,;]+/).filter(Boolean);
      return info.type === "integer" ? items.map((item) => (/^-?\d+$/.test(item) ? Number(item) : item)) : items;
    }
    if (info.type === "integer") return /^-?\d+$/.test(text) ? Number(text) : null;
    return info.type === "text" ? input.value : text;
  }

  get isChanged() {
    return JSON.stringify(this.value) !== JSON.stringify(this.saved);
  }

  // What is wrong with it as far as the schema tells, or "".
  fault() {
    const { info, value } = this;
    if (info.type !== "integer" || isList(info)) return "";
    if (value === null) return _("settings.not_a_number");
    const isOutside = (info.minimum !== null && value < info.minimum) || (info.maximum !== null && value > info.maximum);
    if (isOutside || (info.step && value % info.step)) {
      const words = info.step ? "settings.range_step" : "settings.range_wrong";
      return _(words, { from: info.minimum, to: info.maximum, step: info.step });
    }
    return "";
  }

  blame(text) {
    problem(this.input, text);
  }

  matches(words) {
    return !words || this.root.textContent.toLowerCase().includes(words) || this.name.includes(words);
  }

  #changed(onInput) {
    if (this.input.value) this.wantsNothing = false;
    problem(this.input, "");
    this.root.toggleAttribute("data-changed", this.isChanged);
    onInput();
  }
}
