// The token lanes of blocks and turns: a cell for what a lane holds in a unit.
function tokenLanes(sample) {
  const tokens = sample.tokens;
  if (!tokens) {
    lane("tokens", "", "empty-lane").append(el("p", "empty", sample.no_tokens));
    return;
  }
  const head = lane("tokens", tokens.schema, "blocks" + (tokens.timing === "turns" ? " turns" : ""));
  tokens.units.forEach((unit) => head.append(unitButton(unit)));
  if (tokens.timing === "frames") stepLanes(tokens);
  else cellLanes(tokens);
}

// The head's button stands above that of the first unit: it comes before any time.
function unitButton(unit) {
  const node = placed("button", "block", unit.start_s, unit.end_s);
  node.append(el("span", "", unit.label));
  node.style.top = `${3 + 19 * unit.line}px`;
  if (unit.index < 0) node.classList.add("prompt");
  if (unit.line === 2) node.classList.add("out");
  node.title = unit.title;
  node.addEventListener("click", () => inspectUnit(unit));
  lively(node, unit.index < 0 ? -1 : unit.start_s, unit.index < 0 ? -1 : unit.end_s);
  return node;
}

function cellLanes(tokens) {
  tokens.rows.forEach((row, index) => {
    if (!index || (row.channel === "clock" && tokens.timing === "turns")) return;
    const held = tokens.units.filter((unit) => unit.runs.some((run) => run.row === index));
    if (!held.length) return;
    const body = lane(row.label, row.note, "tokens c-" + row.channel);
    held.forEach((unit) => body.append(tokenCell(tokens, unit, index)));
  });
}

function tokenCell(tokens, unit, index) {
  const node = placed("button", "cell", unit.start_s, unit.end_s);
  unit.runs.filter((run) => run.row === index).forEach((run) => cellChips(tokens, run, node));
  node.addEventListener("click", () => inspectUnit(unit));
  lively(node, unit.start_s, unit.end_s);
  return node;
}

// An id that repeats is written once with its count; the card of the unit lists each.
function cellChips(tokens, run, node) {
  for (let i = 0, n = 1; i < run.ids.length; i += n) {
    for (n = 1; i + n < run.ids.length && run.ids[i + n] === run.ids[i]; ) n++;
    const name = nameOf(tokens, run.ids[i]);
    const chip = el("span", chipClass(tokens, run.ids[i], run.marks[i]), `${run.ids[i]}`);
    if (name) chip.append(el("b", "", name));
    if (n > 1) chip.append(` ×${n}`);
    node.append(chip);
  }
}

const nameOf = (tokens, id) => tokens.specials[id] || tokens.pieces[id] || "";

// A mark is the class of an id (content, idle, open, close), plus 4 where it bears a loss.
const chipClass = (tokens, id, mark) => [id in tokens.specials ? "special" : "",
  mark % 4 === 1 ? "quiet" : "", mark >= 4 ? "learned" : ""].filter(Boolean).join(" ");

function idChip(tokens, id, mark) {
  const name = nameOf(tokens, id), chip = el("span", "id " + chipClass(tokens, id, mark), `${id} `);
  if (name) chip.append(el("small", "", name));
  return chip;
}

function inspectUnit(unit) {
  const tokens = state.sample.tokens;
  if (tokens.timing === "frames") return inspectSteps(tokens, unit);
  // say and speak of an answer may alternate: then the ids in one run of text, each in its colour
  const woven = unit.runs.length > tokens.rows.length + 4;
  inspect(unit.title, el("p", "hint", "underlined: bears a loss"),
    ...(woven ? wovenRuns(tokens, unit) : unit.runs.map((run) => runBox(tokens, run))));
}

function runBox(tokens, run) {
  const row = tokens.rows[run.row], box = el("div", "c-" + row.channel), ids = el("div", "ids");
  const title = el("span", "lane-name", `${row.label}: ${run.ids.length} id${run.ids.length > 1 ? "s" : ""}`);
  title.append(el("small", "", ` known ${run.known_s} s`));
  run.ids.forEach((id, i) => ids.append(idChip(tokens, id, run.marks[i])));
  box.append(title, ids);
  return box;
}

function wovenRuns(tokens, unit) {
  const legend = el("p", "legend"), ids = el("div", "ids");
  tokens.rows.forEach((row, index) => {
    const count = unit.runs.reduce((sum, run) => sum + (run.row === index ? run.ids.length : 0), 0);
    if (count) legend.append(el("span", `lane-name c-${row.channel}`, `${row.label}: ${count} ids`));
  });
  unit.runs.forEach((run) => run.ids.forEach((id, i) => {
    const chip = idChip(tokens, id, run.marks[i]);
    chip.classList.add("woven", "c-" + tokens.rows[run.row].channel);
    ids.append(chip);
  }));
  return [legend, ids];
}
