// What was clicked, in full, on a card over the page; and the conversation as a text below.
function inspect(title, ...nodes) {
  const close = el("button", "close", "\u00d7"), card = $("inspector");
  close.type = "button";
  close.title = "Close (Esc)";
  close.addEventListener("click", () => (card.hidden = true));
  card.replaceChildren(close, el("h2", "", title), ...nodes);
  card.hidden = false;
  card.scrollTop = 0;
}

function facts(pairs) {
  const list = el("dl", "facts");
  pairs.filter(([, value]) => value !== undefined && value !== null && value !== "").forEach(([name, value]) => {
    const dd = el("dd");
    dd.append(value);
    list.append(el("dt", "", name), dd);
  });
  return list;
}

function timeLink(time_s, text) {
  const node = el("button", "link", text === undefined ? at(time_s) : text);
  node.type = "button";
  node.addEventListener("click", () => seek(time_s));
  return node;
}

function evidenceList(evidence) {
  if (!evidence || !evidence.length) return undefined;
  const list = el("span");
  evidence.forEach((item, index) => {
    const nodes = evidenceNodes(item);
    const word = item.word !== undefined ? `, word ${item.word}${nodes[0] ? ` "${nodes[0].textContent}"` : ""}` : "";
    const frame = item.frame_index !== undefined ? `, frame ${item.frame_index}` : "";
    const link = timeLink(item.revealed_s, `${item.event}${word}${frame}, revealed at ${at(item.revealed_s)}`);
    citing(link, [item]);
    if (index) list.append(el("br"));
    list.append(link);
  });
  return list;
}

function inspectEvent(event) {
  const said = event.emitted === undefined ? event.text.length : event.emitted;
  const text = el("p", "big", event.text.slice(0, said));
  if (said < event.text.length) text.append(el("s", "lost", event.text.slice(said)));
  inspect(`${event.kind.replace("_", " ")} ${event.id}`, text, facts([
    ["behaviour", event.behaviour],
    ["speaker", event.speaker ? `${event.speaker} to ${event.addressed_to}` : undefined],
    ["voice", event.voice],
    ["starts", timeLink(event.start_s)],
    ["ends", event.end_s !== undefined ? timeLink(event.end_s) : undefined],
    ["revealed", event.revealed_s !== undefined ? timeLink(event.revealed_s) : undefined],
    ["decided", event.decided_s !== undefined ? timeLink(event.decided_s) : undefined],
    ["rests on", evidenceList(event.evidence)],
    ["cut", event.cut_s !== undefined ? timeLink(event.cut_s) : undefined],
    ["cut by", event.cut_by ? evidenceList([event.cut_by]) : undefined],
    ["was planned to", event.cut_s !== undefined ? timeLink(event.planned_end_s) : undefined],
    ["never came", said < event.text.length ? `${event.text.length - said} of ${event.text.length} characters` : undefined],
  ]));
}

function inspectLabel(label) {
  inspect(`label of second ${label.second_index}`, el("p", "big", label.note), facts([
    ["floor", label.floor], ["stance", label.stance], ["heard", label.heard],
    ["decided", timeLink(label.decided_s)], ["rests on", evidenceList(label.evidence)],
  ]));
}

function inspectRow(name, track, time_s) {
  const step = Math.min(track.rows.length - 1, Math.max(0, Math.floor(time_s * track.fps + 1e-6)));
  const pairs = track.rows[step].map((value, d) => {
    const label = el("span", "", `${value}   in [${track.low[d]}, ${track.high[d]}]`);
    label.style.color = hue(d, track.dim);
    return [track.names[d] || `${d}`, label];
  });
  inspect(`${name}, step ${step} at ${at(step / track.fps)}`, facts(pairs));
}

// A reply that is written and said in the same words, and uncut, needs one line.
const sameWords = (write, say) => write.id === `write-${say.id}` && write.text === say.text
  && write.emitted === say.emitted;

// The conversation as a person would retell it: heard, written and said, in order of time.
function drawTalk(sample) {
  const list = el("ol");
  const said = [...sample.hear, ...sample.say, ...sample.texts].sort((a, b) => a.start_s - b.start_s);
  said.forEach((event) => {
    if (event.kind === "say" && sample.texts.some((text) => sameWords(text, event))) return;
    const item = el("li", "c-" + (event.kind === "hear" || event.world ? "listen" : event.kind === "say" ? "speak" : "write"));
    const when = timeLink(event.start_s, clock(event.start_s)), line = el("div"), text = el("q", "");
    when.className = "when";
    const end = event.emitted === undefined ? event.text.length : event.emitted;
    text.append(event.text.slice(0, end));
    if (end < event.text.length) text.append(el("s", "", event.text.slice(end)));
    const alsoSaid = sample.say.some((say) => sameWords(event, say));
    const role = event.kind === "hear" ? event.speaker : alsoSaid ? "write and say" : event.kind.replace("_", " ");
    const extra = event.behaviour && event.behaviour !== "turn" ? `, ${event.behaviour.replace("_", "-")}` : "";
    line.append(el("span", "who", `${role}${extra} `), text);
    item.append(when, line);
    list.append(item);
  });
  const p = sample.provenance;
  const backends = Object.entries(p.backends || {}).map(([name, version]) => `${name} ${version}`).join(", ");
  $("talk").replaceChildren(el("h2", "", "The conversation"), list);
  $("origin").replaceChildren(el("h2", "", "Where it comes from"), facts([
    ["source", p.source], ["record", p.record_id], ["at", p.where], ["licence", p.licence || "not stated"],
    ["group", sample.group], ["seed", `${p.seed}`], ["made by", backends],
    ["notes", (p.notes || []).join("; ")], ["system prompt", sample.context.system],
    [`tokens of ${sample.tokens ? sample.tokens.schema : ""}`, sample.tokens ? sample.tokens.summary : undefined],
  ]));
}
