import { $, make } from "./dom.js";
import { refusal } from "./sentences.js";

const TOAST_MS = 5000;

/** A line that goes by itself; a screen reader says it. */
export function toast(text) {
  const line = make("p", {}, text);
  $("toasts").append(line);
  setTimeout(() => line.remove(), TOAST_MS);
}

/** Does `act`, which the hub may refuse: that is said then. Whether it was done. */
export async function attempt(act) {
  try {
    await act();
    return true;
  } catch (error) {
    toast(refusal(error));
    return false;
  }
}
