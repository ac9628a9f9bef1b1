// The call on the screen: tiles, words and controls drawn from a Call. It decides nothing of the call.

import { $, attribute, put } from "./dom.js";
import { corner, presentation, shape } from "./layout.js";
import { nameOf } from "./roster.js";
import { deviceProblem, stateWords } from "./sentences.js";
import { SharedScreen } from "./shared-screen.js";
import { Tile } from "./tile.js";
import { toast } from "./toasts.js";
import { _, counted } from "./words.js";

const TOGETHER = new Set(["denied", "absent", "insecure"]); // problems that both devices have for one reason
const GAP = 12; // of .tiles in call.css
const SLOW_ATTEMPTS = 3; // then the page says that nobody answers

/** A mute button: icon, words, pressed state. `forced`: who else keeps it off, in words. */
export function renderMute(button, kind, muted, absent, forced = "") {
  const shut = muted || absent;
  const symbol = kind === "audio" ? "mic" : "camera";
  button.querySelector("use").setAttribute("href", shut ? `#i-${symbol}-off` : `#i-${symbol}`);
  const short = absent ? "absent" : shut ? "on" : "off";
  put(button.querySelector("span"), "textContent", forced ? _(`mute.${kind}_forced`) : _(`mute.${kind}_${short}`));
  button.dataset.muted = shut;
  attribute(button, "aria-disabled", forced ? "true" : null);
  attribute(button, "title", forced || null);
  attribute(button, "aria-label", forced || _(`mute.${kind}_${short}_label`));
}

function renderScreen(button, isShared, forced) {
  attribute(button, "aria-pressed", String(isShared));
  attribute(button, "aria-disabled", forced ? "true" : null);
  attribute(button, "title", forced || null);
  attribute(button, "aria-label", forced || null);
  button.dataset.muted = Boolean(forced);
  put(button.querySelector("span"), "textContent", _(forced ? "screen.forced" : isShared ? "screen.stop" : "screen.share"));
}

const problemKey = ({ problems }) => `${problems.audio} ${problems.video}`;

/** [kind or "both", problem] of each notice that is due. */
function problemsOf({ problems }) {
  if (problems.audio === problems.video && TOGETHER.has(problems.audio)) return [["both", problems.audio]];
  return Object.entries(problems).filter(([, problem]) => problem);
}

/** Notices on what is wrong with one's own devices, each with a button to try again and, if `closable`, one to close. */
export function renderProblems(element, media, closable = false) {
  const key = problemKey(media);
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  const action = (label, act) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button";
    button.textContent = label;
    button.addEventListener("click", act);
    return button;
  };
  element.replaceChildren(
    ...problemsOf(media).map(([kind, problem]) => {
      const notice = document.createElement("div");
      notice.className = "notice warn";
      const text = document.createElement("p");
      text.textContent = deviceProblem(kind, problem);
      notice.append(text);
      if (problem !== "insecure") notice.append(action(_("common.try_again"), () => void media.open()));
      if (closable) notice.append(action(_("common.close"), () => notice.remove()));
      return notice;
    }),
  );
}

export class View {
  #tiles = new Map();
  #call;
  #media;
  #screen;
  #speaker;
  #userName;
  #abort = new AbortController();
  #resize;
  #volumes;
  #open;

  /** `seen`: the lobby has told of the devices' problems already. `open(userId)`: what can be done with a member. */
  constructor(call, media, screen, { speaker, userName, seen, volumes, open }) {
    this.#call = call;
    this.#media = media;
    this.#screen = screen;
    this.#speaker = speaker;
    this.#userName = userName;
    this.#volumes = volumes;
    this.#open = open;
    $("room-problems").replaceChildren();
    $("room-problems").dataset.key = seen ? problemKey(media) : "";
    const { signal } = this.#abort;
    call.addEventListener("change", () => this.#render(), { signal });
    call.addEventListener("levels", () => this.#levels(), { signal });
    call.addEventListener("notice", ({ detail }) => toast(detail.text), { signal });
    media.addEventListener("change", () => this.#render(), { signal });
    volumes.addEventListener("change", () => this.#render(), { signal });
    $("unblock").addEventListener("click", () => this.#unblock(), { signal });
    $("retry").addEventListener("click", () => call.wake(), { signal });
    this.#resize = new ResizeObserver(() => this.#arrange());
    this.#resize.observe($("stage"));
    this.#render();
  }

  get userName() {
    return this.#userName;
  }

  set userName(name) {
    this.#userName = name;
    this.#render();
  }

  /** The tile of a user's stream, or undefined. */
  tile(userId, stream = "main") {
    return this.#tiles.get(`${userId}/${stream}`);
  }

  /** Tells of the devices' problems again. */
  remind() {
    $("room-problems").dataset.key = "";
  }

  speakTo(deviceId) {
    this.#speaker = deviceId;
    for (const tile of this.#tiles.values()) void tile.speakTo(deviceId);
  }

  close() {
    this.#abort.abort();
    this.#resize.disconnect();
    for (const tile of this.#tiles.values()) tile.close();
    $("toasts").replaceChildren();
    $("unblock").hidden = true;
  }

  #render() {
    const call = this.#call;
    put(document.documentElement.dataset, "state", call.state);
    put($("room-name"), "textContent", call.room);
    put($("status"), "textContent", stateWords(call.state));
    const people = Object.keys(call.members).length + 1;
    put($("count"), "textContent", call.state === "connected" ? counted("room.people", people) : "");
    attribute($("open-people"), "aria-label", `${_("people.title")}, ${counted("room.people", people)}`);
    put($("alone"), "hidden", call.state !== "connected" || people > 1);
    const waiting = call.state === "connecting" || call.state === "reconnecting";
    put($("banner"), "hidden", !waiting);
    put($("banner-text"), "textContent", this.#waitingWords());
    this.#renderTiles();
    const { listens, forced } = call.standing;
    put($("listening"), "hidden", !listens);
    put($("devices"), "hidden", listens);
    put($("screen"), "hidden", listens || !SharedScreen.isPossible);
    renderScreen($("screen"), this.#screen.isShared, forced.screen ? _("forced.screen_kept") : "");
    for (const [id, kind] of [["mic", "audio"], ["camera", "video"]]) {
      put($(id), "hidden", listens);
      const why = forced[kind] ? _(`forced.${kind}_kept`) : "";
      renderMute($(id), kind, this.#media.muted[kind], Boolean(this.#media.problems[kind]), why);
    }
    put($("room-problems"), "hidden", listens);
    if (!listens) renderProblems($("room-problems"), this.#media, true);
  }

  #waitingWords() {
    const { state, attempts } = this.#call;
    return _(`room.${state === "connecting" ? "connecting" : "reconnecting"}${attempts < SLOW_ATTEMPTS ? "" : "_slow"}`);
  }

  #renderTiles() {
    const call = this.#call;
    const media = this.#media;
    const { listens } = call.standing;
    const shown = new Set(listens ? [] : ["own"]); // who only listens shows nothing
    if (!listens) this.#tileOf("own", { userId: call.userId, own: true }).render({
      name: this.#userName,
      note: _("room.you"),
      video: media.tracks.video,
      audioMuted: media.muted.audio || !media.tracks.audio,
      videoMuted: media.muted.video || !media.tracks.video,
      quality: call.uplink.level,
      waiting: false,
    });
    for (const remote of call.remotes) {
      shown.add(remote.key);
      const has = Boolean(remote.stream.audio || remote.stream.video);
      this.#tileOf(remote.key, { userId: remote.userId, stream: remote.name }).render({
        name: nameOf(remote.member),
        note: remote.name === "screen" ? _("room.screen") : "",
        ...remote.tracks,
        audioMuted: remote.isMuted("audio"),
        videoMuted: remote.isMuted("video"),
        volume: this.#volumes.of(remote.userId),
        quality: worst(call.reported[remote.userId], remote.quality.level),
        undecryptable: call.frames.isFailing(remote.key),
        waiting: has && remote.downlink.state === "connecting",
      });
    }
    for (const [key, tile] of this.#tiles) {
      if (shown.has(key)) continue;
      tile.close();
      this.#tiles.delete(key);
    }
    this.#arrange();
  }

  #tileOf(key, options) {
    let tile = this.#tiles.get(key);
    if (!tile) {
      tile = new Tile({ ...options, open: () => this.#open(options.userId), blocked: () => ($("unblock").hidden = false), resized: () => this.#arrange() });
      this.#tiles.set(key, tile);
      if (options.own) $("tiles").prepend(tile.element);
      else $("tiles").append(tile.element);
      if (this.#speaker) void tile.speakTo(this.#speaker);
    }
    tile.element.dataset.user = options.userId;
    return tile;
  }

  /** A screen is large over a row of the others. With one other person the own picture floats in the corner, otherwise
   *  it is one of the grid. */
  #arrange() {
    const stage = $("stage");
    const tiles = $("tiles");
    const style = getComputedStyle(stage);
    const width = stage.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const height = stage.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    const screens = [...this.#tiles.values()].filter((tile) => tile.isScreen);
    const floats = !screens.length && this.#tiles.size === 2 && this.#tiles.has("own");
    const grid = [...this.#tiles].filter(([key]) => !floats || key !== "own").map(([, tile]) => tile);
    const sizes = screens.length
      ? presentation(screens.length, grid.length - screens.length, width, height, GAP)
      : { tile: shape(grid.length, width, height, GAP, grid[0]?.aspect) };
    tiles.dataset.floats = floats;
    if (floats) {
      for (const [name, pixels] of Object.entries(corner(width, height, sizes.tile, GAP))) {
        tiles.style.setProperty(`--own-${name}`, `${pixels}px`);
      }
    }
    for (const tile of this.#tiles.values()) tile.resize(tile.isScreen ? sizes.screen : sizes.tile);
    for (const remote of this.#call.remotes) remote.shown(this.#tiles.get(remote.key)?.pixels);
  }

  #levels() {
    const call = this.#call;
    this.#tiles.get("own")?.renderLevel(call.level, call.speaking.speaking);
    for (const remote of call.remotes) this.#tiles.get(remote.key)?.renderLevel(remote.level, remote.speaking.speaking);
  }

  #unblock() {
    $("unblock").hidden = true;
    for (const tile of this.#tiles.values()) tile.play();
    this.#call.hear();
  }
}

/** The network of a member: what it says of its own, both ways, or while it says nothing what arrives from it. */
function worst(reported, arriving) {
  return reported ? Math.max(reported.uplink, reported.downlink) || arriving : arriving;
}
