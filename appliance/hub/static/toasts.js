import { $, make } from "./dom.js";

const TOAST_MS = 5000;

/** A line that goes by itself; a screen reader says it. */
export function toast(text) {
  const line = make("p", {}, text);
  $("toasts").append(line);
  setTimeout(() => line.remove(), TOAST_MS);
}
