"use strict";
// What the pages share: sizes and times as text, packed numbers, steps of an axis, elements and tips.

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

function sizeText(bytes) {
  let unit = 0, value = Math.abs(bytes);
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit++; }
  const digits = unit === 0 ? 0 : value >= 99.95 ? 1 : 2;
  return `${bytes < 0 ? "−" : ""}${value.toFixed(digits).replace(/\.?0+$/, (m) => (m.includes(".") ? "" : m))}\u00a0${units[unit]}`;
}

const countText = (value) => Math.round(value).toLocaleString("en-US");

// `step` is what separates neighbours on an axis: no more decimals than tell them apart. Without it, four digits or so.
function timeText(ns, step = 0) {
  const [name, unit] = [["s", 1e9], ["ms", 1e6], ["µs", 1e3], ["ns", 1]].find(([, size]) => Math.abs(ns) >= size) || ["ns", 1];
  const wanted = step > 0 ? Math.ceil(-Math.log10(step / unit) - 1e-9) : 3 - Math.floor(Math.log10(Math.abs(ns) / unit || 1));
  return `${(ns / unit).toFixed(unit === 1 ? 0 : Math.max(0, Math.min(9, wanted)))}\u00a0${name}`;
}

// Reads the variable-length numbers of one data element, as page_output.c packs them. Numbers may pass 32 bits, so they are added, not shifted.
class Numbers {
  constructor(id) {
    const element = document.getElementById(id);
    this.bytes = atob(element ? element.textContent : "");
    this.at = 0;
  }
  get done() { return this.at >= this.bytes.length; }
  next() {
    let value = 0, scale = 1, byte;
    do {
      byte = this.bytes.charCodeAt(this.at++);
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte > 127);
    return value;
  }
  static unfold(value) { return value % 2 === 0 ? value / 2 : -(value + 1) / 2; }
}

function niceStep(span, count, base) {
  const rough = span / count;
  if (!(rough > 0)) return 1;
  if (base === 2) {
    const unit = 1024 ** Math.max(0, Math.floor(Math.log(rough) / Math.log(1024)));
    return unit * ([1, 2, 5, 10, 20, 50, 100, 200, 256, 512].find((step) => step * unit >= rough * 0.85) || 1024);
  }
  const unit = 10 ** Math.floor(Math.log10(rough));
  return unit * [1, 2, 5, 10].find((step) => step * unit >= rough * 0.999);
}

function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// Puts a tip beside the pointer, inside its host.
function placeTip(tip, host, x, y) {
  tip.hidden = false;
  const left = x + 14 + tip.offsetWidth > host.clientWidth ? x - 14 - tip.offsetWidth : x + 14;
  tip.style.left = `${Math.max(0, left)}px`;
  tip.style.top = `${Math.max(0, Math.min(y + 12, host.clientHeight - tip.offsetHeight))}px`;
}

const $ = (id) => document.getElementById(id);
function button(text, isPressed, onClick) {
  const made = element("button", text);
  made.type = "button";
  made.setAttribute("aria-pressed", isPressed);
  made.addEventListener("click", onClick);
  return made;
}

function press(...pairs) { for (const [id, isPressed] of pairs) $(id).setAttribute("aria-pressed", isPressed); }

function cell(row, text, className = "") {
  const made = element("td", text, className);
  row.append(made);
  return made;
}
