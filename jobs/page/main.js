// Picks a sample, draws it, and moves the clock.
function choose(index) {
  if (audio.playing) pause();
  const sample = data.samples[index];
  Object.assign(state, { sample, byId: new Map(), canvases: [], live: [], now: 0 });
  unpack(sample);
  const sheet = el("div", "sheet");
  sheet.style.setProperty("--dur", spanOf(sample));
  sheet.style.setProperty("--block", sample.tokens ? sample.tokens.grid_s : 1);
  state.sheet = sheet;
  drawLanes(sample);
  state.playhead = el("div", "playhead");
  sheet.append(state.playhead);
  $("stage").replaceChildren(sheet);
  $("stage").scrollLeft = 0;
  $("seek").max = sample.duration_s;
  drawHead(sample);
  drawTalk(sample);
  $("inspector").hidden = true;
  document.querySelectorAll("#picker button").forEach((button, i) => button.setAttribute("aria-pressed", i === index));
  zoom(state.pps);
  allIds();
  show(0);
}

function unpack(sample) {
  for (const track of ["listen", "speak"]) {
    const peaks = sample[track].peaks;
    if (!peaks.values) peaks.values = new Int8Array(bytes(peaks.base64).buffer);
  }
}

function drawHead(sample) {
  const chips = el("div", "chips");
  const add = (text, strong) => text && chips.append(el("span", "chip" + (strong ? " strong" : ""), text));
  add(`${sample.split} / ${sample.subset}`);
  add(sample.language);
  add(`${sample.duration_s.toFixed(1)} s`);
  add(sample.context.embodiment);
  sample.behaviours.forEach((name) => add(name.replaceAll("_", " "), true));
  const parts = [el("h1", "", sample.key)];
  if (sample.context.task) parts.push(el("p", "task", sample.context.task));
  $("head").replaceChildren(...parts, chips);
}

function drawPicker() {
  if (data.samples.length < 2) return;
  data.samples.forEach((sample, index) => {
    const button = el("button");
    button.type = "button";
    const what = sample.behaviours.map((name) => name.replaceAll("_", " ")).join(", ");
    button.append(el("b", "", sample.key), el("small", "", [sample.language, clock(sample.duration_s), what].filter(Boolean).join(" · ")));
    button.addEventListener("click", () => choose(index));
    $("picker").append(button);
  });
}

function show(time_s) {
  state.now = time_s;
  state.playhead.style.transform = `translateX(${time_s * state.pps}px)`;
  $("clock").textContent = clock(time_s);
  $("seek").value = time_s;
  state.live.forEach((item) => {
    const on = item.start_s <= time_s && time_s < item.end_s && time_s > 0;
    if (on !== item.on) item.node.classList.toggle("on", (item.on = on));
  });
}

// Keeps the playhead in the window while it plays.
function follow() {
  const stage = $("stage"), width = stage.clientWidth - gutterWidth(), x = state.now * state.pps;
  if (x > stage.scrollLeft + width * 0.85 || x < stage.scrollLeft) stage.scrollLeft = x - width * 0.15;
}

function zoom(pps) {
  const stage = $("stage"), x = state.now * state.pps - stage.scrollLeft;
  state.pps = Math.min(480, Math.max(12, pps));
  state.sheet.style.setProperty("--pps", state.pps);
  state.sheet.classList.toggle("tiny", state.pps < 55);
  $("zoom").value = state.pps;
  const inView = x >= 0 && x <= stage.clientWidth;
  stage.scrollLeft = inView ? state.now * state.pps - x : stage.scrollLeft;
  show(state.now);
  repaint();
}

// Token lanes are as high as their fullest block, but four lines at most unless all ids are wanted.
function allIds() {
  document.querySelectorAll(".tokens .body").forEach((body) => {
    body.style.setProperty("--rows", "10px");
    const tallest = Math.max(15, ...[...body.children].map((cell) => cell.scrollHeight));
    body.style.setProperty("--rows", `${($("all-ids").checked ? tallest : Math.min(tallest, 62)) + 6}px`);
  });
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("frame").open) return;
  if (event.target.matches("input[type=range]")) return;
  const step = event.shiftKey ? 5 : 1;
  const actions = {
    " ": toggle, ArrowLeft: () => seek(state.now - step), ArrowRight: () => seek(state.now + step),
    Escape: () => ($("inspector").hidden = true), Home: () => seek(0), End: () => seek(state.sample.duration_s), "+": () => zoom(state.pps * 1.25),
    "=": () => zoom(state.pps * 1.25), "-": () => zoom(state.pps / 1.25),
  };
  if (!actions[event.key]) return;
  event.preventDefault();
  actions[event.key]();
  if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") follow();
}

$("play").addEventListener("click", toggle);
$("play").addEventListener("keydown", (event) => event.key === " " && event.stopPropagation());
$("seek").addEventListener("input", () => { seek(Number($("seek").value)); follow(); });
$("zoom").addEventListener("input", () => { zoom(Number($("zoom").value)); allIds(); });
$("all-ids").addEventListener("change", allIds);
["mix-listen", "mix-speak", "mix-ears"].forEach((id) => $(id).addEventListener("change", mix));
$("stage").addEventListener("scroll", repaint, { passive: true });
$("frame").addEventListener("click", () => $("frame").close());
window.addEventListener("resize", repaint);
document.addEventListener("keydown", keys);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
drawPicker();
if (data.samples.length) choose(0);
