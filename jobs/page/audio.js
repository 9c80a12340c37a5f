// One clock for both tracks: Web Audio starts them on the same sample, which two <audio> cannot.
const audio = { context: null, buffers: {}, gains: {}, pans: {}, sources: [], startedAt: 0, from: 0, playing: false };

function openAudio() {
  if (audio.context) return;
  audio.context = new AudioContext();
  for (const track of ["listen", "speak"]) {
    const gain = audio.context.createGain(), pan = audio.context.createStereoPanner();
    gain.connect(pan).connect(audio.context.destination);
    audio.gains[track] = gain;
    audio.pans[track] = pan;
  }
  mix();
}

function mix() {
  if (!audio.context) return;
  const apart = $("mix-ears").checked;
  audio.gains.listen.gain.value = $("mix-listen").checked ? 1 : 0;
  audio.gains.speak.gain.value = $("mix-speak").checked ? 1 : 0;
  audio.pans.listen.pan.value = apart ? -1 : 0;
  audio.pans.speak.pan.value = apart ? 1 : 0;
}

async function buffersOf(sample) {
  if (!audio.buffers[sample.key]) {
    const decode = (track) => audio.context.decodeAudioData(bytes(sample[track].flac).buffer);
    const [listen, speak] = await Promise.all([decode("listen"), decode("speak")]);
    audio.buffers[sample.key] = { listen, speak };
  }
  return audio.buffers[sample.key];
}

async function play() {
  const sample = state.sample;
  openAudio();
  $("play").disabled = true;
  try {
    await audio.context.resume();
    const buffers = await buffersOf(sample);
    if (state.sample !== sample) return;
    if (state.now >= sample.duration_s - 0.05) state.now = 0;
    startAt(buffers, state.now);
  } catch (error) {
    $("clock").textContent = "this browser can't play FLAC";
  } finally {
    $("play").disabled = false;
  }
}

function startAt(buffers, from_s) {
  const when = audio.context.currentTime + 0.03;
  audio.sources = ["listen", "speak"].map((track) => {
    const source = audio.context.createBufferSource();
    source.buffer = buffers[track];
    source.connect(audio.gains[track]);
    source.start(when, from_s);
    return source;
  });
  Object.assign(audio, { startedAt: when, from: from_s, playing: true });
  icon();
  requestAnimationFrame(tick);
}

function pause() {
  audio.sources.forEach((source) => source.stop());
  Object.assign(audio, { sources: [], playing: false });
  icon();
}

const toggle = () => (audio.playing ? pause() : play());

function icon() {
  $("play-icon").setAttribute("d", audio.playing ? "M6 4h4v16H6zM14 4h4v16h-4z" : "M7 4v16l13-8z");
  $("play").setAttribute("aria-label", audio.playing ? "Pause" : "Play");
}

function tick() {
  if (!audio.playing) return;
  const now = audio.from + Math.max(0, audio.context.currentTime - audio.startedAt);
  if (now >= state.sample.duration_s) {
    pause();
    show(state.sample.duration_s);
    return;
  }
  show(now);
  follow();
  requestAnimationFrame(tick);
}

function seek(time_s) {
  const wasPlaying = audio.playing;
  if (wasPlaying) pause();
  show(Math.min(Math.max(0, time_s), state.sample.duration_s));
  if (wasPlaying) play();
}
