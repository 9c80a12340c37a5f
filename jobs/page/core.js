"use strict";
// State and small helpers. All text reaches the page through textContent: a corpus is untrusted.
const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const state = { sample: null, pps: 120, sheet: null, byId: new Map(), canvases: [], live: [], now: 0 };

function el(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
}

// A thing on the time axis: `start_s`, and a width when `end_s` is given.
function placed(tag, className, start_s, end_s, text) {
  const node = el(tag, "at " + className, text);
  node.style.setProperty("--t", start_s);
  if (end_s !== undefined) {
    node.classList.add("span");
    node.style.setProperty("--d", Math.max(0, end_s - start_s));
  }
  if (tag === "button") node.type = "button";
  return node;
}

const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;
const at = (s) => `${s.toFixed(3)} s`;

function bytes(base64) {
  const text = atob(base64);
  const out = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
  return out;
}

function remember(id, node) {
  if (!state.byId.has(id)) state.byId.set(id, []);
  state.byId.get(id).push(node);
}

// The nodes that a piece of evidence points at: a word where it names one, else the whole event.
function evidenceNodes(item) {
  if (item.word !== undefined) return state.byId.get(`${item.event}#${item.word}`) || [];
  if (item.frame_index !== undefined) return [];
  return state.byId.get(item.event) || [];
}

function citing(node, evidence) {
  const mark = (on) => () => (evidence || []).forEach((item) =>
    evidenceNodes(item).forEach((n) => n.classList.toggle("cited", on)));
  node.addEventListener("pointerenter", mark(true));
  node.addEventListener("pointerleave", mark(false));
}

// Marks `node` while the clock is inside [start_s, end_s).
function lively(node, start_s, end_s) {
  state.live.push({ node, start_s, end_s, on: false });
}
