// Canvases are as wide as the window, not as the sample: a browser refuses canvases of 32,768 px.
function addCanvas(body, height, paint) {
  const canvas = el("canvas", "");
  canvas.dataset.height = height;
  canvas.style.height = `${height}px`;
  body.append(canvas);
  state.canvases.push({ canvas, height, paint });
  return canvas;
}

function repaint() {
  const stage = $("stage"), gutter = gutterWidth();
  const width = Math.max(1, stage.clientWidth - gutter), ratio = window.devicePixelRatio || 1;
  const from_s = stage.scrollLeft / state.pps, to_s = (stage.scrollLeft + width) / state.pps;
  state.canvases.forEach(({ canvas, height, paint }) => {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.width = `${width}px`;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    paint(context, from_s, to_s, width, height);
  });
}

const gutterWidth = () => parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--gutter"));
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function drawWave(context, peaks, from_s, to_s, width, height, track) {
  const values = peaks.values, perPixel = peaks.rate_hz / state.pps, mid = height / 2;
  context.fillStyle = colour("line");
  context.fillRect(0, mid, width, 1);
  context.fillStyle = colour(track);
  for (let x = 0; x < width; x++) {
    const first = Math.floor(from_s * peaks.rate_hz + x * perPixel);
    const last = Math.max(first + 1, Math.floor(from_s * peaks.rate_hz + (x + 1) * perPixel));
    let low = 0, high = 0;
    for (let i = first; i < last && 2 * i + 1 < values.length; i++) {
      low = Math.min(low, values[2 * i]);
      high = Math.max(high, values[2 * i + 1]);
    }
    if (high > low) context.fillRect(x, mid - (high / 128) * (mid - 2), 1, Math.max(1, ((high - low) / 128) * (mid - 2)));
  }
}

function drawCurves(context, track, from_s, to_s, width, height) {
  const first = Math.max(0, Math.floor(from_s * track.fps) - 1);
  const last = Math.min(track.rows.length - 1, Math.ceil(to_s * track.fps) + 1);
  context.lineWidth = track.dim > 12 ? 1 : 1.5;
  for (let d = 0; d < track.dim; d++) {
    const low = track.low[d], range = track.high[d] - low || 1;
    context.strokeStyle = hue(d, track.dim);
    context.beginPath();
    for (let i = first; i <= last; i++) {
      const x = (i / track.fps - from_s) * state.pps;
      const y = height - 8 - ((track.rows[i][d] - low) / range) * (height - 16);
      // a row holds until the next one
      if (i > first) context.lineTo(x, height - 8 - ((track.rows[i - 1][d] - low) / range) * (height - 16));
      context.lineTo(x, y);
    }
    context.stroke();
  }
}
