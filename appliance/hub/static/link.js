// The link to the hub: one WebSocket, logged in and joined, kept up until it is ended.
//
//   connecting -> connected <-> reconnecting        ended, with {code, message}, comes from all of them
//
// Events (detail): "state" {state}, "logged-in" {resumed}, "joined" {joined, resumed}, "message" (a pushed hub message),
// "ended" {code, message}.

const HEARTBEAT_MS = 2000; // a ping after so much silence of ours or theirs
const LOST_MS = 5000; // no message for so long: the link is lost
const OPEN_MS = 5000;
const REQUEST_MS = 10000;
const RESYNC_MS = 3000; // a resumed login is followed by a Joined at once
const BACKOFF_MS = [150, 300, 600, 1200, 1600]; // a hub that returns is found within 2 s

// No use trying these again without a person doing something.
const FINAL = new Set([
  "token-missing", "token-invalid", "token-expired", "room-full", "duplicate-user", "banned", "kicked", "role",
  "crypt-mismatch",
  "invalid-argument", "message-malformed", "message-unknown", "message-too-large",
]);
const RENEWABLE = new Set(["token-missing", "token-invalid", "token-expired"]);

export class HubError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Milliseconds before try number `attempt` (0 is the first); `random` 0..1 spreads it by a quarter either way. */
export function backoff(attempt, random = Math.random()) {
  return BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] * (0.75 + random / 2);
}

export class Link extends EventTarget {
  state = "idle";
  ending = null;
  userId = "";
  attempt = 0; // failed tries since the link was last up
  token = ""; // of the login
  role = ""; // what we enter a room as; "": as the credentials say
  #url;
  #room;
  #profile;
  #roomToken = ""; // of a room that the login's token does not open
  #credentials;
  #introduction;
  #socket = null;
  #session = "";
  #nextId = 1;
  #requests = new Map();
  #onJoined = null; // waits for the Joined of a resumed login
  #lastHeard = 0;
  #lastSent = 0;
  #wakeUp = null;
  #everJoined = false;
  #refusal = null; // why the hub refused the last token

  /** `credentials(renew)` answers {token, userId, userName, role}; renew: the last token was refused, get another one
   *  or answer null. It may throw: then the link tries again later. `introduction(room)`: more fields of a Join. */
  constructor({ url, room, profile = "rtc", credentials, introduction = () => ({}) }) {
    super();
    this.#introduction = introduction;
    this.#url = url;
    this.#room = room;
    this.#profile = profile;
    this.#credentials = credentials;
  }

  /** Runs until ended. */
  async run() {
    this.#set("connecting");
    let renew = false;
    while (!this.ending) {
      try {
        await this.#open();
        await this.#enter(renew);
        this.attempt = 0;
        renew = false;
        await this.#watch();
      } catch (error) {
        const code = error.code ?? "service-unavailable";
        const ghost = code === "duplicate-user" && this.#everJoined; // our own old seat: it is freed soon
        if (RENEWABLE.has(code) && !renew) {
          renew = true;
          this.#refusal = error;
        } else if (FINAL.has(code) && !ghost) this.end(code, error.message);
      }
      this.#drop();
      if (this.ending) break;
      if (this.#everJoined) this.#set("reconnecting");
      await this.#pause(backoff(this.attempt++));
    }
  }

  /** Sends without an answer; false when there is no link. */
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    this.#lastSent = performance.now();
    return true;
  }

  /** Sends and waits for the answer with the same id. Rejects with HubError, also when the link is lost meanwhile. */
  request(message, timeoutMs = REQUEST_MS) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (!this.send({ ...message, id })) return reject(new HubError("not-connected", "no connection"));
      const timer = setTimeout(() => {
        this.#requests.delete(id);
        reject(new HubError("join-timeout", "the hub did not answer"));
      }, timeoutMs);
      this.#requests.set(id, { resolve, reject, timer });
    });
  }

  /** Tries at once instead of waiting for the back-off. */
  wake() {
    this.#wakeUp?.();
  }

  /** Into another room on the same login, and back into this one when that room refuses: then it rejects with why. */
  async move(room, token = "") {
    await this.request({ type: "leave" });
    let joined, refusal;
    try {
      joined = await this.#join(room, token);
      this.#room = room;
      this.#roomToken = token;
    } catch (error) {
      refusal = error;
      joined = await this.#join(this.#room, this.#roomToken);
    }
    this.#emit("joined", { joined, resumed: false });
    if (refusal) throw refusal;
  }

  /** A newer token for the same user and room; rejects when the hub does not take it. */
  async renew(token) {
    const renewed = await this.request({ type: "renew-token", token });
    this.token = token;
    return renewed;
  }

  async leave() {
    if (this.ending) return;
    if (this.state === "connected") {
      this.#set("leaving");
      await this.request({ type: "logout" }, 1000).catch(() => {});
    }
    this.end("left", "");
  }

  /** Leaves without waiting: the page goes away. */
  leaveNow() {
    this.end("left", "");
  }

  end(code, message) {
    if (this.ending) return;
    this.send({ type: "logout", id: this.#nextId++ }); // where the link still stands: it is over, not lost
    this.ending = { code, message };
    this.#drop();
    this.#set("ended");
    this.#emit("ended", this.ending);
    this.wake();
  }

  #set(state) {
    if (this.state === state || (this.ending && state !== "ended")) return;
    this.state = state;
    this.#emit("state", { state });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #open() {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.#url);
      this.#socket = socket;
      const timer = setTimeout(() => socket.close(), OPEN_MS);
      socket.onopen = () => {
        clearTimeout(timer);
        this.#lastHeard = this.#lastSent = performance.now();
        resolve();
      };
      socket.onclose = () => {
        clearTimeout(timer);
        reject(new HubError("service-unavailable", "the hub can't be reached"));
        if (socket === this.#socket) this.#failAll();
      };
      socket.onmessage = ({ data }) => {
        if (socket === this.#socket) this.#receive(JSON.parse(data));
      };
    });
  }

  async #enter(renew) {
    const who = await this.#credentials(renew);
    if (!who) throw this.#refusal;
    const loggedIn = await this.request({
      type: "login",
      token: who.token,
      user_id: who.userId,
      user_name: who.userName,
      session: this.#session,
    });
    this.#session = loggedIn.session;
    this.userId = loggedIn.user_id;
    this.token = who.token;
    this.role ||= who.role;
    this.#emit("logged-in", { resumed: loggedIn.resumed === true });
    let joined = null;
    if (loggedIn.resumed && loggedIn.in_room) joined = await this.#resync();
    const resumed = joined !== null;
    joined ??= await this.#join(this.#room, this.#roomToken);
    this.userId = joined.user_id;
    this.#everJoined = true;
    this.#set("connected");
    this.#emit("joined", { joined, resumed });
  }

  async #join(room, token) {
    const introduction = await this.#introduction(room);
    return this.request({ type: "join", room, role: this.role, profile: this.#profile, token, ...introduction });
  }

  /** The Joined with id 0, or null when the seat was in no room. */
  #resync() {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#onJoined?.(null), RESYNC_MS);
      this.#onJoined = (joined) => {
        clearTimeout(timer);
        this.#onJoined = null;
        resolve(joined);
      };
    });
  }

  /** Heartbeats until the link is lost or ended. */
  #watch() {
    const socket = this.#socket;
    return new Promise((resolve) => {
      const timer = setInterval(() => {
        const now = performance.now();
        const silent = now - this.#lastHeard;
        if (silent > LOST_MS) stop();
        else if (silent > HEARTBEAT_MS || now - this.#lastSent > HEARTBEAT_MS) this.send({ type: "ping", t: now / 1000 });
      }, HEARTBEAT_MS / 4);
      const stop = () => {
        clearInterval(timer);
        resolve();
      };
      if (socket?.readyState !== WebSocket.OPEN) stop();
      socket?.addEventListener("close", stop);
    });
  }

  #receive(message) {
    this.#lastHeard = performance.now();
    const request = this.#requests.get(message.id);
    if (message.type === "ping") this.send({ type: "pong", t: message.t ?? 0 });
    else if (message.type === "pong") return;
    else if (request) {
      this.#requests.delete(message.id);
      clearTimeout(request.timer);
      if (message.type === "error") request.reject(new HubError(message.code, message.message));
      else request.resolve(message);
    } else if (message.type === "joined" && this.#onJoined) this.#onJoined(message);
    else if (message.type === "kicked") this.end(KICKED[message.reason] ?? "kicked", message.message);
    else if (message.type === "room-closed") this.end("room-closed", message.message);
    else this.#emit("message", message);
  }

  #failAll() {
    for (const { reject, timer } of this.#requests.values()) {
      clearTimeout(timer);
      reject(new HubError("not-connected", "the connection was lost"));
    }
    this.#requests.clear();
    this.#onJoined?.(null);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#failAll();
  }
}

const KICKED = { kick: "kicked", banned: "banned", removed: "removed", token_expired: "token-expired" };
