// The page of a plan: the picture, which is zoomed in both directions, and the controls around it. Text from files is only ever set as text.

const meta = JSON.parse($("plan-0").textContent);
const stripHeight = 64, stripGap = 34;

class Picture {
  constructor(host, tip, actions) {
    Object.assign(this, { host, tip, actions, byPeak: false, chosen: -1 });
    [this.canvas, this.marks] = host.querySelectorAll("canvas");
    this.margin = { left: 72, right: 12, top: 10, bottom: 28 };
    this.listen();
    new ResizeObserver(() => this.draw()).observe(host);
  }

  show(region) {
    this.region = region;
    this.chosen = -1;
    this.most = region.height * 1.04;
    if (meta.capacity !== null && meta.capacity <= 1.3 * region.height) this.most = Math.max(this.most, meta.capacity * 1.03);
    this.zoomAll();
  }

  // Asking the page for its measures is slow: it is done once for each drawing.
  measure() {
    this.width = Math.max(40, this.host.clientWidth - this.margin.left - this.margin.right);
    this.height = this.host.clientHeight - this.margin.top - this.margin.bottom - stripHeight - stripGap;
  }
  toX(time) { return this.margin.left + ((time - this.view.from) / (this.view.to - this.view.from)) * this.width; }
  toY(address) { return this.margin.top + (1 - (address - this.view.low) / (this.view.high - this.view.low)) * this.height; }
  toTime(x) { return this.view.from + ((x - this.margin.left) / this.width) * (this.view.to - this.view.from); }
  toAddress(y) { return this.view.low + (1 - (y - this.margin.top) / this.height) * (this.view.high - this.view.low); }

  setView(from, to, low, high) {
    const fit = (least, most, whole, smallest) => {
      const span = Math.min(Math.max(most - least, smallest), whole);
      const begin = Math.min(Math.max(least, 0), whole - span);
      return [begin, begin + span];
    };
    const times = fit(from, to, this.region.length, Math.min(2, this.region.length)), addresses = fit(low, high, this.most, Math.min(16, this.most));
    this.view = { from: times[0], to: times[1], low: addresses[0], high: addresses[1] };
    Object.assign(this.host.dataset, this.view);
    this.draw();
  }
  zoomAll() { this.setView(0, this.region.length, 0, this.most); }
  zoom(factor, time = (this.view.from + this.view.to) / 2, address = (this.view.low + this.view.high) / 2) {
    const { from, to, low, high } = this.view, around = (centre, end) => centre + (end - centre) * factor;
    this.setView(around(time, from), around(time, to), around(address, low), around(address, high));
  }
  move(across, up) {
    const { from, to, low, high } = this.view, time = (to - from) * across, bytes = (high - low) * up;
    this.setView(from + time, to + time, low + bytes, high + bytes);
  }

  choose(buffer) {
    this.chosen = buffer;
    if (buffer >= 0) {
      const region = this.region, { from, to, low, high } = this.view;
      const isSeen = region.to[buffer] > from && region.from[buffer] < to && region.offset[buffer] + region.size[buffer] > low && region.offset[buffer] < high;
      if (!isSeen) this.zoomAll();
    }
    this.drawMarks();
    this.actions.describe(buffer);
  }

  colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

  prepare(canvas) {
    const scale = window.devicePixelRatio || 1, context = canvas.getContext("2d");
    canvas.width = Math.round(this.host.clientWidth * scale);
    canvas.height = Math.round(this.host.clientHeight * scale);
    context.scale(scale, scale);
    context.font = '12px system-ui, "Segoe UI", "Liberation Sans", sans-serif';
    return context;
  }

  draw() {
    if (!this.region || !this.view) return;
    this.measure();
    const context = this.prepare(this.canvas), { left, top } = this.margin;
    context.fillStyle = this.colour("--free");
    context.fillRect(left, top, this.width, this.height);
    this.drawAxes(context);
    this.clipped(context, top, this.height, () => { this.drawBuffers(context); this.drawLines(context); });
    const strip = top + this.height + stripGap;
    this.clipped(context, strip, stripHeight, () => this.drawLive(context, strip));
    this.drawMarks();
  }

  // What changes while the pointer moves has a canvas of its own above the picture.
  drawMarks() {
    if (!this.region || !this.view) return;
    const context = this.prepare(this.marks);
    this.clipped(context, this.margin.top, this.height, () => { this.drawChosen(context); this.drawDrag(context); });
  }

  clipped(context, top, height, draw) {
    context.save();
    context.beginPath();
    context.rect(this.margin.left, top, this.width, height);
    context.clip();
    draw();
    context.restore();
  }

  drawAxes(context) {
    const { left, top } = this.margin, { from, to, low, high } = this.view, bottom = top + this.height;
    context.fillStyle = this.colour("--soft");
    context.textAlign = "right";
    context.textBaseline = "middle";
    const bytes = niceStep(high - low, 6, 2);
    for (let at = Math.ceil(low / bytes) * bytes; at <= high; at += bytes) context.fillText(sizeText(at), left - 8, this.toY(at));
    context.textAlign = "center";
    context.textBaseline = "top";
    const step = Math.max(1, niceStep(to - from, Math.max(2, this.width / 120), 10)), first = Number(this.region.first);
    for (let at = Math.ceil((first + from) / step) * step - first; at <= to; at += step) {
      const text = this.region.timeText(at), half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(this.toX(at), left + this.width + 8 - half), bottom + 8);
    }
    context.textAlign = "right";
    context.fillText("alive", left - 8, bottom + stripGap);
  }

  // One colour after the other: to change it takes longer than to fill a small rectangle.
  drawBuffers(context) {
    const colours = Array.from({ length: Region.steps }, (_, step) => this.colour(`--size-${step}`));
    if (this.byPeak) colours.splice(0, Infinity, this.colour("--holder-rest"), this.colour("--line-0"));
    colours.forEach((colour, step) => {
      context.fillStyle = colour;
      this.fillStep(context, step);
    });
  }

  fillStep(context, step) {
    const { region, view } = this, { from, to, size, offset } = region, steps = this.byPeak ? region.peaks : region.steps;
    const fill = (begin, end, low, high) => {
      const x = this.toX(begin), y = this.toY(high), width = this.toX(end) - x, height = this.toY(low) - y;
      context.fillRect(x, y, Math.max(0.5, width > 4 ? width - 0.75 : width), Math.max(0.5, height > 4 ? height - 0.75 : height));
    };
    for (let i = 0; i < region.count; i++) {
      if (steps[i] !== step || to[i] <= view.from || from[i] >= view.to || offset[i] >= view.high || offset[i] + size[i] <= view.low) continue;
      region.eachPiece(i, fill);
    }
  }

  drawChosen(context) {
    if (this.chosen < 0) return;
    context.strokeStyle = this.colour("--ink");
    context.lineWidth = 2;
    this.region.eachPiece(this.chosen, (from, to, low, high) => {
      const x = this.toX(from), y = this.toY(high);
      context.strokeRect(x + 1, y + 1, Math.max(2, this.toX(to) - x - 2), Math.max(2, this.toY(low) - y - 2));
    });
  }

  drawLines(context) {
    const horizontal = (bytes, colour, dashes) => {
      context.strokeStyle = this.colour(colour);
      context.lineWidth = 1.75;
      context.setLineDash(dashes);
      context.beginPath();
      context.moveTo(this.margin.left, this.toY(bytes));
      context.lineTo(this.margin.left + this.width, this.toY(bytes));
      context.stroke();
      context.setLineDash([]);
    };
    horizontal(this.region.height, "--warn", []);
    horizontal(this.region.lowerBound, "--accent", [7, 5]);
    if (meta.capacity !== null) horizontal(meta.capacity, "--line-2", [2, 4]);
    const x = this.toX(this.region.peak);
    context.strokeStyle = this.colour("--faint");
    context.lineWidth = 1;
    context.setLineDash([2, 3]);
    context.beginPath();
    context.moveTo(x, this.margin.top);
    context.lineTo(x, this.margin.top + this.height);
    context.stroke();
    context.setLineDash([]);
  }

  drawDrag(context) {
    if (!this.drag) return;
    const { x, y, toX, toY } = this.drag;
    context.fillStyle = this.colour("--accent");
    context.globalAlpha = 0.2;
    context.fillRect(Math.min(x, toX), Math.min(y, toY), Math.abs(toX - x), Math.abs(toY - y));
    context.globalAlpha = 1;
  }

  drawLive(context, top) {
    const { live, height } = this.region, bottom = top + stripHeight;
    context.fillStyle = this.colour("--free");
    context.fillRect(this.margin.left, top, this.width, stripHeight);
    context.fillStyle = this.colour("--live");
    for (let i = 0; i < live.length - 1; i++) {
      const x = this.toX(live[i][0]), end = this.toX(live[i + 1][0]);
      if (end < this.margin.left || x > this.margin.left + this.width) continue;
      const tall = (live[i][1] / height) * stripHeight;
      context.fillRect(x, bottom - tall, end - x + 0.5, tall);
    }
  }

  place(event) {
    const box = this.host.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }
  bufferUnder(x, y) {
    const { left, top } = this.margin;
    if (x < left || x > left + this.width || y < top || y > top + this.height) return -1;
    return this.region.bufferAt(this.toTime(x), this.toAddress(y));
  }

  listen() {
    const host = this.host;
    host.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.region) return;
      const [x, y] = this.place(event);
      this.drag = { x, y, toX: x, toY: y };
      host.setPointerCapture(event.pointerId);
    });
    host.addEventListener("pointermove", (event) => this.point(...this.place(event)));
    host.addEventListener("pointerup", () => this.drop());
    host.addEventListener("pointercancel", () => { this.drag = null; this.drawMarks(); });
    host.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    host.addEventListener("dblclick", () => { if (this.region) this.zoomAll(); });
    host.addEventListener("wheel", (event) => {
      if (!this.region || !(event.ctrlKey || event.metaKey)) return;
      const [x, y] = this.place(event);
      this.zoom(Math.exp(event.deltaY / 300), this.toTime(x), this.toAddress(y));
      event.preventDefault();
    }, { passive: false });
    host.addEventListener("keydown", (event) => this.press(event));
  }

  point(x, y) {
    if (!this.region) return;
    if (this.drag) {
      Object.assign(this.drag, { toX: x, toY: y });
      this.drawMarks();
    }
    const buffer = this.bufferUnder(x, y);
    if (buffer < 0) { this.tip.hidden = true; return; }
    this.tip.replaceChildren(...this.actions.rows(buffer).map((row, i) => element(i === 0 ? "b" : "div", row)));
    placeTip(this.tip, this.host, x, y);
  }

  drop() {
    if (!this.drag) return;
    const { x, y, toX, toY } = this.drag;
    this.drag = null;
    this.drawMarks();
    if (Math.abs(toX - x) < 5 && Math.abs(toY - y) < 5) { this.choose(this.bufferUnder(x, y)); return; }
    // A drag along one direction zooms that one alone.
    const { low, high, from, to } = this.view;
    const times = Math.abs(toX - x) < 5 ? [from, to] : [this.toTime(Math.min(x, toX)), this.toTime(Math.max(x, toX))];
    const addresses = Math.abs(toY - y) < 5 ? [low, high] : [this.toAddress(Math.max(y, toY)), this.toAddress(Math.min(y, toY))];
    this.setView(...times, ...addresses);
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.region) return;
    const keys = {
      ArrowLeft: () => this.move(-0.1, 0), ArrowRight: () => this.move(0.1, 0), ArrowUp: () => this.move(0, 0.1), ArrowDown: () => this.move(0, -0.1),
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.zoomAll(), Escape: () => this.choose(-1),
    };
    if (!keys[event.key]) return;
    keys[event.key]();
    event.preventDefault();
  }
}

const picture = new Picture($("plan"), $("plan-tip"), { rows: bufferRows, describe: describeBuffer });
const regions = [];

function bufferRows(i) {
  const region = picture.region, end = region.offset[i] + region.size[i];
  return [region.ids[region.index[i]], `${sizeText(region.size[i])} (${countText(region.size[i])} B) at ${countText(region.offset[i])}, up to ${countText(end)}`,
    `alive from ${region.timeText(region.from[i])} to ${region.timeText(region.to[i])}${region.isAtPeak(i) ? ", at the peak too" : ""}`];
}

function describeBuffer(i) { $("buffer").textContent = i >= 0 ? bufferRows(i).join(" · ") : ""; }

function showFigures() {
  const header = ["region", "buffers", "lower bound", "height", "efficiency", "above the bound"], top = element("tr");
  top.append(...header.map((text) => element("th", text)));
  $("figures").tHead.replaceChildren(top);
  $("figures").tBodies[0].replaceChildren(...meta.regions.map((region) => {
    const row = element("tr"), efficiency = region.height > 0 ? region.lowerBound / region.height : 1;
    const cells = [region.number, countText(region.count), sizeText(region.lowerBound), sizeText(region.height), `${(100 * efficiency).toFixed(2)} %`, sizeText(region.height - region.lowerBound)];
    row.append(...cells.map((text, i) => element("td", String(text), i === 0 ? "name" : "")));
    return row;
  }));
  const proof = meta.isOptimal ? "no plan is lower" : "not proved to be the lowest";
  const fit = meta.capacity === null ? "" : `; ${meta.isFeasible ? "fits" : "does not fit"} ${sizeText(meta.capacity)}`;
  $("subtitle").textContent = `${countText(meta.buffers)} buffers in ${sizeText(meta.height)}, ${proof}${fit}; found in ${timeText(meta.seconds * 1e9, meta.seconds * 1e7 || 1)}`;
}

function legendItem(colour, text, isLine, isDashed) {
  const item = element("li"), label = element("label"), key = element("span", "", isLine ? `key${isDashed ? " dashed" : ""}` : "key area");
  key.style[isLine ? "borderColor" : "background"] = `var(${colour})`;
  label.append(key, text);
  item.append(label);
  return item;
}

function showLegend() {
  const { region } = picture, items = [legendItem("--warn", "height of the plan", true), legendItem("--accent", "lower bound", true, true)];
  if (meta.capacity !== null) items.push(legendItem("--line-2", "capacity", true, true));
  if (picture.byPeak) items.push(legendItem("--line-0", "alive at the peak"), legendItem("--holder-rest", "not"));
  else if (!(region.logStep > 0)) items.push(legendItem(`--size-${Region.steps >> 1}`, sizeText(region.sizeOfStep(0))));
  else for (let step = 0; step < Region.steps; step++) items.push(legendItem(`--size-${step}`, `from ${sizeText(Math.round(region.sizeOfStep(step)))}`));
  $("legend").replaceChildren(...items);
}

function showRegion(index) {
  if (!regions[index]) regions[index] = new Region(index, meta.regions[index], meta.ids);
  picture.show(regions[index]);
  describeBuffer(-1);
  showLegend();
}

function setColours(byPeak) {
  press(["by-size", !byPeak], ["by-peak", byPeak]);
  picture.byPeak = byPeak;
  if (!picture.region) return;
  showLegend();
  picture.draw();
}

// Chooses the first buffer whose id is what was typed, or else begins with it.
function find(text) {
  const { region } = picture, ids = region ? Array.from(region.index, (index) => region.ids[index]) : [];
  const exact = text === "" ? -1 : ids.indexOf(text);
  if (region) picture.choose(exact >= 0 || text === "" ? exact : ids.findIndex((id) => id.startsWith(text)));
}

function startPlan() {
  document.title = `${meta.name} · tarn plan`;
  $("title").textContent = meta.name;
  meta.regions.forEach((region, i) => {
    const option = element("option", String(region.number));
    option.value = i;
    $("region").append(option);
  });
  $("region-choice").hidden = meta.regions.length < 2;
  $("region").addEventListener("change", () => showRegion(Number($("region").value)));
  for (const byPeak of [true, false]) $(byPeak ? "by-peak" : "by-size").addEventListener("click", () => setColours(byPeak));
  const onPlan = (act) => () => { if (picture.region) act(); };
  $("zoom-in").addEventListener("click", onPlan(() => picture.zoom(0.5)));
  $("zoom-out").addEventListener("click", onPlan(() => picture.zoom(2)));
  $("zoom-all").addEventListener("click", onPlan(() => picture.zoomAll()));
  $("find").addEventListener("input", () => find($("find").value.trim()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => picture.draw());
  showFigures();
  if (meta.regions.length > 0) showRegion(0);
}

startPlan();
