// Claiming: the code of the label, and the password of the owner.

import { call } from "./api.js";
import { onSubmit, problem } from "./forms.js";
import { _ } from "./words.js";

const MIN_LENGTH = 8;
const CODE_LENGTH = 9;
const GROUP = 3;
const $ = (id) => document.getElementById(id);

// The code that a QR code brought along (/setup#code=...); it does not stay in the address.
export function takeCode() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  $("code").value = grouped(code);
}

// In groups of three, as it stands on the label.
export function grouped(code) {
  const plain = code.toUpperCase().replace(/[^0-9A-Z]/g, "").slice(0, CODE_LENGTH);
  return plain.match(new RegExp(`.{1,${GROUP}}`, "g"))?.join("-") ?? "";
}

// 0 too short, 1 weak, 2 fair, 3 good, 4 strong: by the number of guesses that its kinds of characters leave.
export function strength(password) {
  const characters = [...password];
  if (characters.length < MIN_LENGTH) return 0;
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/].filter((kind) => kind.test(password)).length;
  const pool = [0, 26, 40, 60, 80][kinds];
  const different = new Set(characters.map((character) => character.toLowerCase())).size;
  const isRun = "abcdefghijklmnopqrstuvwxyz0123456789qwertyuiopasdfghjklzxcvbnm".includes(password.toLowerCase());
  const bits = Math.min(characters.length, different * 1.5) * Math.log2(pool);
  if (isRun || different < 4) return 1;
  return bits < 44 ? 1 : bits < 58 ? 2 : bits < 76 ? 3 : 4;
}

function paintStrength() {
  const value = $("password").value;
  const rank = strength(value);
  $("strength").dataset.strength = String(rank);
  const left = MIN_LENGTH - [...value].length;
  $("strength-words").textContent = !value ? "" : rank === 0 ? _("setup.strength_left", { left }) : _(`setup.strength_${rank}`);
}

export function wire({ next }) {
  const code = $("code");
  const password = $("password");
  code.addEventListener("input", () => {
    if (code.selectionEnd === code.value.length) code.value = grouped(code.value);
    problem(code, "");
  });
  password.addEventListener("input", () => {
    paintStrength();
    problem(password, "");
  });
  onSubmit($("step-claim"), async () => {
    code.value = grouped(code.value);
    if (code.value.length < CODE_LENGTH + 2) {
      problem(code, _(code.value ? "setup.code_short" : "common.required"));
      code.focus();
      return;
    }
    if ([...password.value].length < MIN_LENGTH) {
      problem(password, _("common.password_short", { count: MIN_LENGTH }));
      password.focus();
      return;
    }
    await call("/api/setup/claim", { code: code.value, password: password.value });
    password.value = "";
    await next();
  }, () => ({ code, password }));
}

export function enter() {
  paintStrength();
  ($("code").value ? $("password") : $("code")).focus();
}
