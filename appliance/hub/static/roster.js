// Who is in the room, as pure state: roster = {[user_id]: member}. Every change answers [roster, notes], and a
// resync after a lost link is a change like any other.
//
// member: as on the wire {user_id, user_name, role, streams: [{name, audio: {muted} | null, video}]}
// note:   {what: "joined" | "left" | "listens" | "renamed", member, before: the name before}

export const empty = Object.freeze({});

export const nameOf = (member) => member.user_name || member.user_id;

/** The stream of this name, or undefined. */
export const streamOf = (member, name = "main") => member?.streams?.find((stream) => stream.name === name);

/** The kinds that a stream carries, in one fixed order. */
export const kindsOf = (stream) => ["audio", "video"].filter((kind) => stream?.[kind]);

/** Whether a member publishes this, as people name it: "screen" is the picture of that stream. */
export const carries = (member, kind) =>
  Boolean(kind === "screen" ? streamOf(member, "screen")?.video : streamOf(member)?.[kind]);

/** A track that isn't published counts as muted. */
export const isMuted = (stream, kind) => stream?.[kind]?.muted ?? true;

/** Replaces everything: what `Joined` says. Whoever is there when we come in has not just joined. */
export function reset(roster, members) {
  const next = Object.fromEntries(members.map((member) => [member.user_id, member]));
  if (roster === empty) return [Object.freeze(next), []];
  const notes = [
    ...Object.values(roster).filter((member) => !next[member.user_id]).map((member) => ({ what: "left", member })),
    ...members.flatMap((member) => noted(roster[member.user_id], member)),
  ];
  return [Object.freeze(next), notes];
}

export function change(roster, member) {
  return [Object.freeze({ ...roster, [member.user_id]: member }), noted(roster[member.user_id], member)];
}

/** `listens`: it is still here, unseen, as the audience of a live room. */
export function remove(roster, userId, listens = false) {
  const { [userId]: member, ...rest } = roster;
  return [Object.freeze(rest), member ? [{ what: listens ? "listens" : "left", member }] : []];
}

function noted(old, member) {
  if (!old) return [{ what: "joined", member }];
  return nameOf(old) === nameOf(member) ? [] : [{ what: "renamed", member, before: nameOf(old) }];
}
