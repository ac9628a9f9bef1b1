// For a moderator of a live room: push it to a server or record it, everybody who takes part in a grid.

import { $, put } from "./dom.js";
import * as roster from "./roster.js";
import { attempt, toast } from "./toasts.js";
import { _ } from "./words.js";

const [WIDTH, HEIGHT] = [1280, 720];
const PUSHING = 505, ENDED = 511;
const STATES = { 505: "on", 506: "failed", 512: "image" };

export class Stream {
  #call;
  #task = null; // what the hub has from us
  #state = "";

  constructor({ call, signal }) {
    this.#call = call;
    call.addEventListener("change", () => this.#render(), { signal });
    call.link.addEventListener("joined", ({ detail }) => detail.resumed || this.#over(), { signal });
    call.link.addEventListener("message", ({ detail }) => detail.type === "task-changed" && this.#told(detail), { signal });
    $("open-stream").addEventListener("click", () => $("stream-dialog").showModal(), { signal });
    $("stream-form").addEventListener("submit", (event) => void this.#submit(event), { signal });
    signal.addEventListener("abort", () => $("stream-dialog").close());
    this.#render();
  }

  /** "": nothing is pushed or recorded from here; "wait", "on", "failed" or "image". */
  get state() {
    return this.#state;
  }

  #render() {
    const { standing } = this.#call;
    put($("open-stream"), "hidden", !(standing.mayModerate && standing.profile === "live"));
    const on = this.#task !== null;
    put($("stream-url"), "disabled", on);
    put($("stream-record"), "disabled", on);
    put($("stream-submit"), "textContent", _(on ? "stream.stop" : "stream.start"));
    put($("stream-state"), "hidden", !this.#state);
    if (on) void this.#follow();
  }

  async #submit(event) {
    if (event.submitter?.value === "close") return;
    event.preventDefault();
    if (this.#task) return void (await this.#ask({ type: "delete-tasks", task_ids: [this.#task.task_id] }));
    const task = {
      task_id: `page_${crypto.getRandomValues(new Uint32Array(2)).join("_")}`,
      stream_url: $("stream-url").value.trim(),
      record: $("stream-record").checked,
      layout: this.#layout(),
    };
    this.#task = task;
    this.#say("wait");
    if (!(await this.#ask({ type: "add-tasks", tasks: [task] })) && this.#task === task) this.#over();
  }

  /** The layout is that of who takes part now. */
  async #follow() {
    const layout = this.#layout();
    if (JSON.stringify(layout) === JSON.stringify(this.#task.layout)) return;
    this.#task = { ...this.#task, layout };
    if (this.#call.state === "connected") await this.#ask({ type: "update-tasks", tasks: [this.#task] });
  }

  #layout() {
    const own = this.#call.link.userId;
    const others = Object.values(this.#call.members).filter((member) => roster.kindsOf(roster.streamOf(member)).length);
    return { canvas: { width: WIDTH, height: HEIGHT }, users: grid([own, ...others.map((member) => member.user_id)]) };
  }

  #told({ task_id, code, message }) {
    if (task_id !== this.#task?.task_id) return;
    if (code === ENDED) return this.#over();
    this.#say(STATES[code] ?? "failed", message);
    if (code !== PUSHING) toast(_(`stream.${STATES[code] ?? "failed"}`, { why: message }));
  }

  #over() {
    this.#task = null;
    this.#say("");
  }

  #say(state, why = "") {
    this.#state = state;
    put($("stream-state"), "textContent", state ? _(`stream.${state}`, { why }) : "");
    this.#render();
  }

  #ask(request) {
    return attempt(() => this.#call.link.request(request));
  }
}

/** Everybody's rectangle: as many columns as rows, or one more. */
export function grid(users) {
  const columns = Math.ceil(Math.sqrt(users.length));
  const rows = Math.ceil(users.length / columns);
  const [width, height] = [Math.floor(WIDTH / columns), Math.floor(HEIGHT / rows)];
  return users.map((user_id, index) => ({
    user_id, x: (index % columns) * width, y: Math.floor(index / columns) * height, width, height,
  }));
}
