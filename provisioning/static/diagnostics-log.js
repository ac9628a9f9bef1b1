// The last log records: filtered by the unit, followed as they come.

import { call } from "./api.js";
import { language } from "./words.js";

const LIMIT = 300;
const TYPING_MS = 250;
const $ = (id) => document.getElementById(id);

let last = 0; // number of the newest record that is shown
let asked = 0; // which filter an answer belongs to
let typing = 0;

function query(more = {}) {
  return new URLSearchParams({ level: $("log-level").value, q: $("log-words").value.trim(), ...more }).toString();
}

function line(record) {
  const item = document.createElement("li");
  item.dataset.level = record.level;
  const time = document.createElement("time");
  const at = new Date(record.at * 1000);
  time.dateTime = at.toISOString();
  time.textContent = at.toLocaleTimeString(language, { hour12: false });
  item.append(time, ` ${record.level} ${record.logger}: ${record.message}`);
  return item;
}

export async function followLog() {
  const mine = asked;
  const { records } = await call(`/api/logs?${query({ after: last, limit: LIMIT })}`);
  if (mine !== asked) return; // the filter is another one by now
  if (records.length) {
    const box = $("log").parentElement;
    const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    last = records.at(-1).number;
    $("log").append(...records.map(line));
    while ($("log").children.length > LIMIT) $("log").firstChild.remove();
    if (isAtEnd) box.scrollTop = box.scrollHeight;
  }
  $("no-log").hidden = $("log").children.length > 0;
}

export function restartLog() {
  asked += 1;
  last = 0;
  $("log").replaceChildren();
  $("log-download").href = `/api/logs.txt?${query({ limit: 2000 })}`;
}

export function wireLog() {
  const anew = () => {
    restartLog();
    followLog().catch(() => null); // the page's next look says what is wrong
  };
  $("log-level").addEventListener("change", anew);
  $("log-words").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(anew, TYPING_MS);
  });
  $("log-form").addEventListener("submit", (event) => {
    event.preventDefault();
    anew();
  });
  restartLog();
}
