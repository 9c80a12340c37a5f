// The lanes, top to bottom: ruler, listen, write, speak, labels, frames, actions, tokens.

function lane(title, note, className) {
  const row = el("div", "lane " + className), name = el("div", "name", title), body = el("div", "body");
  name.append(el("small", "", note));
  row.append(name, body);
  state.sheet.append(row);
  return body;
}

function drawLanes(sample) {
  rulerLane(sample);
  const heard = audioLane(sample, "listen", "what it hears", sample.hear);
  sample.sounds.forEach((sound) => heard.append(placed("span", "bar hot", sound.start_s, sound.end_s, sound.name)));
  textLane(sample);
  audioLane(sample, "speak", "what it says", sample.say);
  labelLane(sample);
  sample.look.forEach((track) => frameLane(track));
  if (sample.act) curveLane("act", sample.act, sample.acts);
  if (sample.state) curveLane("state", sample.state, []);
  tokenLanes(sample);
}

// Tokens may go on when the sound has ended: text that waits, codes that come late.
const spanOf = (sample) => Math.max(sample.duration_s, ...(sample.tokens ? sample.tokens.units.map((u) => u.end_s) : []));

function rulerLane(sample) {
  const body = lane("time", "seconds", "ruler");
  for (let s = 0; s < spanOf(sample); s++) {
    body.append(placed("span", s % 5 ? "minor" : "", s, undefined, s));
  }
  if (spanOf(sample) > sample.duration_s) {
    body.append(placed("span", "after", sample.duration_s, spanOf(sample), "after the end"));
  }
  body.addEventListener("click", (event) => {
    seek((event.clientX - body.getBoundingClientRect().left) / state.pps);
  });
}

function audioLane(sample, track, note, events) {
  const body = lane(track, note, "c-" + track);
  addCanvas(body, 56, (context, from_s, to_s, width, height) =>
    drawWave(context, sample[track].peaks, from_s, to_s, width, height, track));
  const strip = el("div", "strip"), words = el("div", "words");
  body.append(strip, words);
  const rows = [0, 0, 0];
  events.forEach((event) => {
    const hot = event.behaviour !== "turn";
    const name = event.behaviour.replaceAll("_", "-") + (event.speaker && event.speaker !== "user" ? ` · ${event.speaker}` : "");
    const bar = placed("button", "bar" + (hot ? " hot" : ""), event.start_s, event.end_s, name);
    bar.addEventListener("click", () => inspectEvent(event));
    citing(bar, event.evidence);
    remember(event.id, bar);
    strip.append(bar);
    if (event.planned_end_s > event.end_s) {
      const rest = placed("span", "bar planned", event.end_s, event.planned_end_s);
      rest.title = "planned, never said: the user cut in";
      strip.append(rest);
    }
    if (event.cut_s !== undefined) strip.append(tick_("cut", event.cut_s));
    if (event.behaviour === "barge_in") strip.append(tick_("plain to hear", event.plain_s));
    event.words.forEach((word, index) => words.append(wordNode(event, word, index, freeRow(rows, word))));
  });
  return strip;
}

function tick_(label, time_s) {
  const node = placed("span", "tick", time_s);
  node.dataset.label = label;
  return node;
}

// Words are often wider than they are long: each goes to the first row with room at the usual zoom.
function freeRow(rows, word) {
  const wide_s = (word.text.length * 7 + 5) / 120;
  let row = rows.findIndex((busy_s) => busy_s <= word.start_s);
  if (row < 0) row = rows.indexOf(Math.min(...rows));
  rows[row] = Math.max(word.end_s, word.start_s + wide_s);
  return row;
}

function wordNode(event, word, index, row) {
  const node = placed("button", `word row${row}` + (word.cut ? " cut" : ""), word.start_s, word.end_s, word.text);
  node.title = word.cut ? `"${word.text}" was begun and cut` : `"${word.text}" ${at(word.start_s)} to ${at(word.end_s)}`;
  node.addEventListener("click", () => { inspectEvent(event); seek(word.start_s); });
  remember(`${event.id}#${index}`, node);
  lively(node, word.start_s, word.end_s);
  return node;
}

function textLane(sample) {
  const body = lane("write", "visible text", "c-write");
  const rows = [];
  sample.texts.forEach((event) => {
    // text narrower than this can't be read; a longer box may lie over free time after it
    const shown_s = Math.max(event.planned_end_s, event.start_s + 0.9);
    let row = rows.findIndex((busy_s) => busy_s <= event.start_s);
    if (row < 0) row = rows.push(0) - 1;
    rows[row] = shown_s;
    const node = placed("button", `text ${event.kind}` + (event.world ? " world" : ""), event.start_s, shown_s);
    node.style.top = `${4 + row * 66}px`;
    const text = el("span", "", event.text.slice(0, event.emitted));
    if (event.emitted < event.text.length) text.append(el("s", "", event.text.slice(event.emitted)));
    node.append(text);
    node.addEventListener("click", () => inspectEvent(event));
    citing(node, event.evidence);
    remember(event.id, node);
    body.append(node);
  });
  body.style.height = `${Math.max(1, rows.length) * 66 + 6}px`;
}

function labelLane(sample) {
  const body = lane("label", "each second", "c-label");
  body.style.height = "50px";
  sample.labels.forEach((label) => {
    const node = placed("button", "label " + label.floor, label.second_index,
      Math.min(label.second_index + 1, sample.duration_s));
    node.append(el("b", "", label.stance), el("span", "", label.heard));
    node.title = label.note;
    node.addEventListener("click", () => inspectLabel(label));
    citing(node, label.evidence);
    body.append(node);
  });
}

function frameLane(track) {
  const body = lane("look", `${track.camera}, ${track.fps} fps`, "c-look");
  body.style.height = "82px";
  track.frames.forEach((frame) => {
    const node = placed("button", "thumb", frame.at_s, frame.until_s), image = el("img");
    image.src = frame.jpeg;
    image.alt = `${track.camera} at ${frame.at_s} s`;
    node.append(image);
    node.addEventListener("click", () => enlarge(frame, image.alt));
    remember(`look.${track.camera}@${frame.at_s}`, node);
    body.append(node);
  });
}

function enlarge(frame, caption) {
  const dialog = $("frame");
  dialog.querySelector("img").src = frame.jpeg;
  dialog.querySelector("p").textContent = caption;
  dialog.showModal();
  seek(frame.at_s);
}

const hue = (i, n) => `hsl(${Math.round((330 + (360 * i) / Math.max(1, n)) % 360)} 62% 52%)`;

function curveLane(name, track, events) {
  const body = lane(name, `${track.dim} dims, ${track.fps} Hz, each on its own scale`, "c-act");
  events.filter((event) => event.mode === "idle").forEach((event) => {
    body.append(placed("span", "idle", event.start_s, event.end_s, "idle"));
  });
  const canvas = addCanvas(body, 120, (context, from_s, to_s, width, height) =>
    drawCurves(context, track, from_s, to_s, width, height));
  canvas.className = "curves";
  body.addEventListener("click", (event) => {
    const time_s = (event.clientX - body.getBoundingClientRect().left) / state.pps;
    inspectRow(name, track, time_s);
  });
}
