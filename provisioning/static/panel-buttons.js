// Buttons that go down and up: mouse, touch, Space and Enter on the button, and the keys M and C anywhere.

import { call, words } from "./api.js";
import { _ } from "./words.js";

const KEYS = { KeyM: "mute", KeyC: "call" };

export function wireButtons(elements, onProblem) {
  const down = new Map(); // button -> element
  const byName = new Map([...elements].map((element) => [element.dataset.button, element]));
  let last = Promise.resolve(); // one after the other: a release must not overtake its press

  function send(name, action, keepalive = false) {
    const post = () => call(`/panel/buttons/${name}`, { action }, { keepalive });
    last = (keepalive ? post() : last.then(post)).catch((error) => onProblem(_("panel.no_effect", { why: words(error) })));
  }

  function press(name) {
    if (down.has(name)) return;
    down.set(name, byName.get(name));
    byName.get(name).setAttribute("aria-pressed", "true");
    send(name, "press");
  }

  function release(name, keepalive = false) {
    if (!down.delete(name)) return;
    byName.get(name).setAttribute("aria-pressed", "false");
    send(name, "release", keepalive);
  }

  function releaseAll(keepalive) {
    for (const name of [...down.keys()]) release(name, keepalive);
  }

  for (const [name, element] of byName) {
    element.setAttribute("aria-pressed", "false");
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      press(name);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      element.addEventListener(end, () => release(name));
    }
    element.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch
    element.addEventListener("keydown", (event) => {
      if ((event.key !== " " && event.key !== "Enter") || event.repeat) return;
      event.preventDefault();
      press(name);
    });
    element.addEventListener("keyup", (event) => {
      if (event.key === " " || event.key === "Enter") release(name);
    });
    element.addEventListener("blur", () => release(name));
    // A screen reader clicks without pointer and keys: detail is 0 then, and no press came before.
    let pressedAt = 0;
    element.addEventListener("pointerdown", () => { pressedAt = performance.now(); });
    element.addEventListener("keydown", () => { pressedAt = performance.now(); });
    element.addEventListener("click", (event) => {
      if (event.detail === 0 && performance.now() - pressedAt > 1000 && !down.has(name)) send(name, "click");
    });
  }

  addEventListener("keydown", (event) => {
    const name = KEYS[event.code];
    if (name && !event.repeat && !event.ctrlKey && !event.metaKey && !event.altKey) press(name);
  });
  addEventListener("keyup", (event) => {
    if (KEYS[event.code]) release(KEYS[event.code]);
  });
  addEventListener("blur", () => releaseAll(false));
  addEventListener("pagehide", () => releaseAll(true));
}
