// Before the call: name, preview, level, devices. Also the device choice during the call.

import { hue, initials } from "./avatar.js";
import { $, put } from "./dom.js";
import { Meter } from "./meter.js";
import { secretIn } from "./settings.js";
import { renderMute, renderProblems } from "./view.js";
import { _ } from "./words.js";

const LEVEL_MS = 80;

const filled = (select) => [...select.options].map(({ value, text }) => value + text).join();

/** Fills and serves every select with `data-device` under `root`; `chosen(kind)` and `choose(kind, id)`. */
export function deviceChoice(root, media, { chosen, choose, signal }) {
  const selects = [...root.querySelectorAll("select[data-device]")];
  const fill = async () => {
    const lists = await media.devices();
    for (const select of selects) {
      const kind = select.dataset.device;
      const none = kind === "speaker" ? _("device.default") : lists[kind].length ? "" : _("device.none");
      const options = lists[kind].map(({ id, label }) => new Option(label, id));
      if (none) options.unshift(new Option(none, ""));
      const same = options.map(({ value, text }) => value + text).join() === filled(select);
      if (!same) select.replaceChildren(...options);
      select.disabled = !lists[kind].length && kind !== "speaker";
      const id = chosen(kind) || media.tracks[kind]?.getSettings().deviceId || "";
      if (lists[kind].some((device) => device.id === id)) select.value = id;
    }
  };
  for (const select of selects) select.addEventListener("change", () => choose(select.dataset.device, select.value), { signal });
  media.addEventListener("devices", fill, { signal });
  media.addEventListener("change", fill, { signal });
  void fill();
}

/** Shows the lobby, without devices for who only `listens`; resolves to {name, secret} when somebody joins. The secret of
 *  an encrypted room stays in memory. */
export function lobby({ media, room, name, secret, listens, choose }) {
  const stop = new AbortController();
  const { signal } = stop;
  let meter = null;
  $("lobby").hidden = false;
  $("lobby-title").textContent = room;
  $("name").value = name;
  $("lobby-key").value = secret;
  $("lobby-encrypted").open = Boolean(secret);
  $("lobby").dataset.listens = listens;

  const render = () => {
    const { video, audio } = media.tracks;
    const preview = $("preview");
    if (preview.track !== video) {
      preview.track = video;
      preview.srcObject = video ? new MediaStream([video]) : null;
    }
    put(preview, "hidden", !video);
    renderAvatar();
    renderMute($("lobby-mic"), "audio", media.muted.audio, Boolean(media.problems.audio));
    renderMute($("lobby-camera"), "video", media.muted.video, Boolean(media.problems.video));
    renderProblems($("lobby-problems"), media);
    if (meter?.track !== (audio ?? undefined)) {
      meter?.close();
      meter = audio ? new Meter(audio) : null;
    }
  };
  const renderAvatar = () => {
    put($("preview-avatar"), "textContent", initials($("name").value));
    $("preview-avatar").style.setProperty("--hue", hue($("name").value));
  };
  const levels = setInterval(() => {
    const level = media.muted.audio ? 0 : (meter?.level() ?? 0);
    $("lobby-level").style.setProperty("--level", level / 100);
    $("lobby-level").setAttribute("aria-valuenow", level);
  }, LEVEL_MS);

  media.addEventListener("change", render, { signal });
  $("name").addEventListener("input", renderAvatar, { signal });
  $("lobby-mic").addEventListener("click", () => toggle(media, "audio"), { signal });
  $("lobby-camera").addEventListener("click", () => toggle(media, "video"), { signal });
  deviceChoice($("lobby"), media, { chosen: (kind) => media.chosen(kind), choose, signal });
  render();
  if (!name) $("name").focus();

  return new Promise((resolve) => {
    const join = (event) => {
      event.preventDefault();
      stop.abort();
      clearInterval(levels);
      meter?.close();
      $("preview").srcObject = $("preview").track = null;
      $("lobby").hidden = true;
      const given = $("lobby-key").value;
      $("lobby-key").value = "";
      resolve({ name: $("name").value.trim() || _("lobby.guest"), secret: secretIn(given) || given });
    };
    $("join-form").addEventListener("submit", join, { signal });
  });
}

/** A device that failed is tried again, one that works is muted or unmuted. */
export function toggle(media, kind) {
  return media.setMuted(kind, !media.problems[kind] && !media.muted[kind]);
}
