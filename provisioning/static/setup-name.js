// What the unit is called.

import { call } from "./api.js";
import { clear, onSubmit, problem } from "./forms.js";
import { _ } from "./words.js";

const $ = (id) => document.getElementById(id);
const DEFAULT = "Room appliance";

export function wire({ next }) {
  const name = $("name");
  for (const chip of document.querySelectorAll("[data-idea]")) {
    chip.addEventListener("click", () => {
      name.value = chip.dataset.idea;
      clear($("step-name"));
      name.focus();
    });
  }
  onSubmit($("step-name"), async () => {
    const value = name.value.trim();
    if (!value) {
      problem(name, _("common.required"));
      name.focus();
      return;
    }
    await call("/api/config", { "device.name": value }, { method: "PUT" });
    await next();
  }, () => ({ "device.name": name }));
}

export function enter(setup) {
  if (!$("name").value) $("name").value = setup.name === DEFAULT ? "" : setup.name;
}
