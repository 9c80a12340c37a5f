// The token lanes of the parallel mode: text where its step stands, codes as a raster of streams.
const STREAM_PX = 12;

function stepLanes(tokens) {
  tokens.rows.forEach((row, index) => {
    const streams = tokens.streams.map((s, i) => (s.row === index ? i : -1)).filter((i) => i >= 0);
    if (!streams.length) return;
    const body = lane(row.label, row.note, "steps c-" + row.channel);
    if (row.note === "text ids") stepText(tokens, body, streams[0]);
    else stepRaster(tokens, body, streams, row.channel);
  });
}

const stepCount = (tokens) => tokens.ids.length / tokens.streams.length - tokens.head_steps;
const placeOf = (tokens, step, stream) => (tokens.head_steps + step) * tokens.streams.length + stream;
const unitAt = (tokens, step) => tokens.units.find((u) => u.index >= 0 && step + tokens.head_steps < u.stop);

// What is said stands at its step; the steps between, which say nothing, are a line.
function stepText(tokens, body, stream) {
  const rows = [0, 0, 0, 0], usual_pps = 120;
  addCanvas(body, 8, (context, from_s, to_s, width) => drawQuiet(tokens, stream, context, from_s, to_s, width));
  for (let step = 0; step < stepCount(tokens); step++) {
    const at_ = placeOf(tokens, step, stream), id = tokens.ids[at_], mark = tokens.marks[at_];
    if (isQuiet(tokens, stream, id, mark)) continue;
    const start_s = step * tokens.step_s, name = nameOf(tokens, id);
    const free = rows.findIndex((busy_s) => busy_s <= start_s), row = free < 0 ? rows.indexOf(Math.min(...rows)) : free;
    rows[row] = start_s + (Math.max(name.length * 6.7, `${id}`.length * 5.5) + 5) / usual_pps;
    const node = placed("button", `step row${row} ` + chipClass(tokens, id, mark), start_s, undefined, name);
    node.append(el("small", "", id));
    node.title = `step ${step}, ${at(start_s)}: ${id} ${name}`;
    node.addEventListener("click", () => inspectSteps(tokens, unitAt(tokens, step), step));
    lively(node, start_s, start_s + tokens.step_s);
    body.append(node);
  }
  body.style.height = "124px";
}

// The most frequent idle token is the lane's silence; another one (a pad before a word) is shown.
function isQuiet(tokens, stream, id, mark) {
  if (mark % 4 !== 1) return false;
  tokens.quiet = tokens.quiet || {};
  if (tokens.quiet[stream] === undefined) {
    const counts = {};
    for (let i = stream; i < tokens.ids.length; i += tokens.streams.length) {
      if (tokens.marks[i] % 4 === 1) counts[tokens.ids[i]] = (counts[tokens.ids[i]] || 0) + 1;
    }
    tokens.quiet[stream] = Number(Object.keys(counts).sort((a, b) => counts[b] - counts[a])[0]);
  }
  return id === tokens.quiet[stream];
}

function drawQuiet(tokens, stream, context, from_s, to_s, width) {
  const wide = tokens.step_s * state.pps, last = Math.min(stepCount(tokens), Math.ceil(to_s / tokens.step_s));
  for (let step = Math.max(0, Math.floor(from_s / tokens.step_s)); step < last; step++) {
    const at_ = placeOf(tokens, step, stream);
    context.fillStyle = colour(isQuiet(tokens, stream, tokens.ids[at_], tokens.marks[at_]) ? "grid" : "write");
    context.fillRect((step * tokens.step_s - from_s) * state.pps, 2, Math.max(1, wide - 1), 4);
  }
}

// One line a stream, one square a step, darker or lighter by its code; ids where they fit.
function stepRaster(tokens, body, streams, channel) {
  const height = streams.length * STREAM_PX;
  addCanvas(body, height, (context, from_s, to_s) =>
    drawRaster(tokens, streams, channel, context, from_s, to_s));
  const found = (event) => {
    const box = body.getBoundingClientRect();
    const step = Math.floor((event.clientX - box.left) / state.pps / tokens.step_s);
    const line = Math.min(streams.length - 1, Math.max(0, Math.floor((event.clientY - box.top) / STREAM_PX)));
    return step >= 0 && step < stepCount(tokens) ? [step, line] : null;
  };
  body.addEventListener("mousemove", (event) => {
    const hit = found(event);
    if (!hit) return;
    const id = tokens.ids[placeOf(tokens, hit[0], streams[hit[1]])];
    body.title = `step ${hit[0]}, ${at(hit[0] * tokens.step_s)}, stream ${hit[1]}: ${id} ${nameOf(tokens, id)}`;
  });
  body.addEventListener("click", (event) => {
    const hit = found(event);
    if (hit) inspectSteps(tokens, unitAt(tokens, hit[0]), hit[0]);
  });
}

function drawRaster(tokens, streams, channel, context, from_s, to_s) {
  const wide = tokens.step_s * state.pps, last = Math.min(stepCount(tokens), Math.ceil(to_s / tokens.step_s));
  const ink = colour("ink"), fill = colour(channel) || colour("label"), quiet = colour("grid");
  context.font = "9px ui-monospace, monospace";
  context.textBaseline = "middle";
  for (let step = Math.max(0, Math.floor(from_s / tokens.step_s)); step < last; step++) {
    const x = (step * tokens.step_s - from_s) * state.pps;
    streams.forEach((stream, line) => {
      const at_ = placeOf(tokens, step, stream), id = tokens.ids[at_], y = line * STREAM_PX;
      const idle = tokens.marks[at_] % 4 === 1;
      context.globalAlpha = idle ? 1 : 0.14 + 0.5 * ((id * 0.618034) % 1);
      context.fillStyle = idle ? quiet : fill;
      context.fillRect(x, y, Math.max(1, wide - 0.5), STREAM_PX - 1);
      context.globalAlpha = 1;
      if (wide < `${id}`.length * 5.6 + 2) return;
      context.fillStyle = ink;
      context.fillText(id, x + 2, y + STREAM_PX / 2);
    });
  }
}

// A line a step, a column a stream: every id.
function inspectSteps(tokens, unit, marked) {
  const table = el("table", "steps"), width = tokens.streams.length, head = el("tr");
  head.append(el("th", "", "step"), el("th", "", "known"));
  tokens.rows.forEach((row, index) => {
    const count = tokens.streams.filter((s) => s.row === index).length;
    if (!count) return;
    const cell = el("th", "c-" + row.channel, row.label);
    cell.colSpan = count;
    head.append(cell);
  });
  table.append(head);
  for (let row = unit.first; row < unit.stop; row++) {
    const step = row - tokens.head_steps, line = el("tr", step === marked ? "marked" : "");
    line.append(el("td", "no", step < 0 ? "" : step), el("td", "no", step < 0 ? "" : `${tokens.known_s[step]}`));
    for (let s = 0; s < width; s++) {
      const id = tokens.ids[row * width + s], cell = el("td", "c-" + tokens.rows[tokens.streams[s].row].channel);
      if (!tokens.streams[s].book) cell.classList.add("first");
      cell.append(idChip(tokens, id, tokens.marks[row * width + s]));
      line.append(cell);
    }
    table.append(line);
  }
  inspect(unit.title, el("p", "hint", "underlined: bears a loss"), table);
  const row = table.querySelector(".marked");
  if (row) row.scrollIntoView({ block: "nearest" });
}
