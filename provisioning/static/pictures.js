// Still pictures that follow each other: asked for one by one, only while this page is seen. The unit decodes what
// others send only as long as somebody asks.

import { _ } from "./words.js";

const NEXT_MS = 100;
const NONE_MS = 700; // there is no picture: ask seldom

export class Pictures {
  #views = new Map(); // name -> {canvas, off, words, has}

  add(name, url, canvas, off) {
    const view = { url, canvas, off, words: "", has: false };
    this.#views.set(name, view);
    this.#show(view);
    this.#run(name, view);
  }

  forget(name) {
    this.#views.delete(name);
  }

  // Why there is no picture; "" when there should be one.
  note(name, words) {
    const view = this.#views.get(name);
    if (!view || view.words === words) return;
    view.words = words;
    this.#show(view);
  }

  #show(view) {
    view.off.textContent = view.words || (view.has ? "" : _("common.waiting_picture"));
    view.canvas.style.visibility = view.words || !view.has ? "hidden" : "visible";
  }

  async #run(name, view) {
    while (this.#views.get(name) === view) {
      const got = document.hidden || view.words ? false : await this.#draw(view).catch(() => false);
      if (got !== view.has) {
        view.has = got;
        this.#show(view);
      }
      await new Promise((resolve) => setTimeout(resolve, got ? NEXT_MS : NONE_MS));
    }
  }

  async #draw(view) {
    const response = await fetch(view.url);
    if (response.status !== 200) {
      await response.arrayBuffer();
      return false;
    }
    const picture = await createImageBitmap(await response.blob());
    if (view.canvas.width !== picture.width) view.canvas.width = picture.width;
    if (view.canvas.height !== picture.height) view.canvas.height = picture.height;
    view.canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    return true;
  }
}
