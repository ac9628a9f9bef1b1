// Signing in with the owner's password, then on to where the visitor wanted to go.

import { Refused, call } from "./api.js";
import { errorWords, onSubmit, problem, wireReveals } from "./forms.js";
import { _ } from "./words.js";

const password = document.getElementById("password");

// A page of this unit, or its home page: never another site.
function target() {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  return /^\/(?![/\\])/.test(next) && new URL(next, location.origin).origin === location.origin ? next : "/";
}

onSubmit(document.getElementById("login"), async () => {
  if (!password.value) {
    problem(password, _("common.required"));
    password.focus();
    return;
  }
  try {
    await call("/api/auth/login", { password: password.value });
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 401) throw error;
    problem(password, errorWords(error));
    password.select();
    return;
  }
  location.replace(target());
}, () => ({ password }));

wireReveals();
password.focus();
