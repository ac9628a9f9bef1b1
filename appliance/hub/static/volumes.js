// How loud each user is played on this page: 0, silent, to 100, as it comes; of all that it sends, and when it is back.
//
// Events: "change".

export const FULL = 100;

export class Volumes extends EventTarget {
  #volumes = new Map(); // user id -> volume, where it is not FULL

  of(userId) {
    return this.#volumes.get(userId) ?? FULL;
  }

  set(userId, volume) {
    if (volume === this.of(userId)) return;
    if (volume === FULL) this.#volumes.delete(userId);
    else this.#volumes.set(userId, volume);
    this.dispatchEvent(new Event("change"));
  }
}
