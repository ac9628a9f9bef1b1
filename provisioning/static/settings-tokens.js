// API tokens: made here, shown once, ended here.

import { call, toast } from "./api.js";
import { busy, errorWords, onSubmit, problem } from "./forms.js";
import { _, language } from "./words.js";

const $ = (id) => document.getElementById(id);

export function wireTokens(ask) {
  async function show() {
    const { tokens } = await call("/api/auth/tokens");
    $("no-tokens").hidden = tokens.length > 0;
    $("tokens").replaceChildren(...tokens.map(row));
  }

  function row(token) {
    const item = document.createElement("li");
    const words = document.createElement("span");
    words.textContent = token.name || "–";
    const more = document.createElement("small");
    const made = new Date(token.created).toLocaleDateString(language, { dateStyle: "medium" });
    more.textContent = `${_(`settings.scope_${token.scope}`)} · ${made}`;
    words.append(more);
    const end = document.createElement("button");
    end.type = "button";
    end.className = "button quiet";
    end.textContent = _("settings.token_end");
    end.setAttribute("aria-label", `${_("settings.token_end")}: ${words.firstChild.textContent}`);
    end.addEventListener("click", () =>
      busy(end, async () => {
        if (!(await ask(_("settings.token_end"), _("settings.token_end_words", { name: token.name || "–" }), _("settings.token_end")))) return;
        try {
          await call(`/api/auth/tokens/${encodeURIComponent(token.id)}`, undefined, { method: "DELETE" });
          await show();
        } catch (error) {
          toast(errorWords(error), "bad");
        }
      }),
    );
    item.append(words, end);
    return item;
  }

  onSubmit($("token-form"), async () => {
    const name = $("token-name").value.trim();
    if (!name) {
      problem($("token-name"), _("common.required"));
      $("token-name").focus();
      return;
    }
    const made = await call("/api/auth/tokens", { name, scope: $("token-scope").value });
    $("token-text").textContent = made.token;
    $("token-new").hidden = false;
    $("token-form").reset();
    await show();
  }, () => ({ name: $("token-name") }));

  $("token-copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText($("token-text").textContent);
      toast(_("settings.copied"));
    } catch {
      getSelection().selectAllChildren($("token-text")); // browsers give the clipboard only to https and localhost
    }
  });

  show().catch((error) => {
    $("no-tokens").textContent = errorWords(error);
  });
}
