// The chart: what was alive as an area, what each allocator had reserved as a line, over time or over events.
//
// Each column of pixels shows the least and the most that any of its events had, so that a peak is never lost, however many
// events there are. The lower canvas holds the curves and is drawn when they change, the upper one the cross hair.

class Chart {
  constructor(host, tip, actions) {
    this.host = host;
    this.tip = tip;
    this.actions = actions; // choose(event)
    [this.curves, this.marks] = host.querySelectorAll("canvas");
    this.byTime = true;
    this.fromZero = true;
    this.margin = { left: 66, right: 14, top: 10, bottom: 30 };
    this.listen();
    new ResizeObserver(() => this.draw()).observe(host);
  }

  show(trace) {
    this.trace = trace;
    this.moment = trace.peak;
    this.hover = null;
    this.zoomAll();
  }

  // Positions on the horizontal axis: nanoseconds or events.
  position(event) { return this.byTime ? this.trace.time[event] : event; }
  get whole() {
    const from = this.position(this.trace.first), to = this.position(this.trace.last);
    return [from, Math.max(to, from + 1)];
  }
  get width() { return Math.max(40, this.host.clientWidth - this.margin.left - this.margin.right); }
  get height() { return this.host.clientHeight - this.margin.top - this.margin.bottom; }
  toX(position) { return this.margin.left + ((position - this.from) / (this.to - this.from)) * this.width; }
  toPosition(x) { return this.from + ((x - this.margin.left) / this.width) * (this.to - this.from); }
  toY(bytes) { return this.margin.top + (1 - (bytes - this.least) / (this.most - this.least)) * this.height; }
  eventAtX(x) {
    const position = this.toPosition(x), trace = this.trace;
    if (!this.byTime) return Math.min(trace.last, Math.max(trace.first, Math.round(position)));
    const event = trace.eventAt(position);
    // The nearer of the two events beside the position.
    if (event < trace.last && trace.time[event + 1] - position < position - trace.time[event]) return event + 1;
    return event;
  }

  setRange(from, to) {
    const [least, most] = this.whole, smallest = this.byTime ? 100 : 4;
    const span = Math.min(Math.max(to - from, smallest), most - least);
    this.from = Math.min(Math.max(from, least), most - span);
    this.to = this.from + span;
    this.host.dataset.from = this.from;
    this.host.dataset.to = this.to;
    this.draw();
  }
  zoomAll() { this.setRange(...this.whole); }
  zoom(factor, around = this.position(this.moment)) {
    const centre = around >= this.from && around <= this.to ? around : (this.from + this.to) / 2;
    this.setRange(centre - (centre - this.from) * factor, centre + (this.to - centre) * factor);
  }
  setAxis(byTime) {
    const isWhole = this.from === this.whole[0] && this.to === this.whole[1];
    const ends = [this.eventAtX(this.margin.left), this.eventAtX(this.margin.left + this.width)];
    this.byTime = byTime;
    if (isWhole) this.zoomAll(); else this.setRange(...ends.map((event) => this.position(event)));
  }
  setMoment(event) {
    this.moment = Math.min(this.trace.last, Math.max(this.trace.first, event));
    const at = this.position(this.moment), span = this.to - this.from;
    if (at < this.from || at > this.to) this.setRange(at - span / 2, at + span / 2);
    else this.drawMarks();
  }

  // The recorded line comes last: dashed, it leaves what it lies on visible.
  series() {
    const [recorded, ...others] = this.trace.lines, lines = [...others, recorded].filter((line) => line.isShown && line.hasReserved);
    return lines.map((line) => ({ values: line.reserved, colour: line.colour, isDashed: line.isRecorded }));
  }

  // For each column of device pixels the first, least, most and last value of its events; columns without events keep NaN.
  columns(values, scale) {
    const count = Math.ceil(this.width * scale) + 1, trace = this.trace;
    const out = { first: new Float64Array(count).fill(NaN), least: new Float64Array(count), most: new Float64Array(count), last: new Float64Array(count) };
    const begin = this.byTime ? trace.eventAt(this.from) : Math.max(trace.first, Math.floor(this.from));
    const factor = (this.width * scale) / (this.to - this.from);
    for (let i = begin; i <= trace.last; i++) {
      const position = this.byTime ? trace.time[i] : i;
      if (position > this.to) break;
      const column = Math.max(0, Math.floor((position - this.from) * factor)), value = values[i];
      if (Number.isNaN(out.first[column])) out.first[column] = out.least[column] = out.most[column] = value;
      if (value < out.least[column]) out.least[column] = value;
      if (value > out.most[column]) out.most[column] = value;
      out.last[column] = value;
    }
    return out;
  }

  draw() {
    if (!this.trace || this.trace.events === 0) return;
    const scale = window.devicePixelRatio || 1, drawn = [];
    const live = this.columns(this.trace.live, scale);
    for (const one of this.series()) drawn.push({ ...one, columns: this.columns(one.values, scale) });
    this.fitHeight([live, ...drawn.map((one) => one.columns)]);
    const context = this.prepare(this.curves, scale);
    this.drawAxes(context);
    context.save();
    context.beginPath();
    context.rect(this.margin.left, this.margin.top - 2, this.width, this.height + 3);
    context.clip();
    this.drawArea(context, live, scale);
    for (const one of drawn) this.drawCurve(context, one, scale);
    context.restore();
    this.drawMarks();
  }

  fitHeight(all) {
    let least = Infinity, most = 0;
    for (const columns of all) {
      for (let i = 0; i < columns.first.length; i++) {
        if (Number.isNaN(columns.first[i])) continue;
        if (columns.least[i] < least) least = columns.least[i];
        if (columns.most[i] > most) most = columns.most[i];
      }
    }
    if (this.fromZero || !(least < most)) least = 0;
    if (most <= least) most = least + 1;
    const step = niceStep(most - least, 5, 2);
    this.step = step;
    this.least = Math.floor(least / step) * step;
    this.most = most + (most - this.least) * 0.04;
  }

  colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

  prepare(canvas, scale) {
    canvas.width = Math.round(this.host.clientWidth * scale);
    canvas.height = Math.round(this.host.clientHeight * scale);
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    context.clearRect(0, 0, this.host.clientWidth, this.host.clientHeight);
    context.font = '12px system-ui, "Segoe UI", "Liberation Sans", sans-serif';
    return context;
  }

  drawAxes(context) {
    const { left, top } = this.margin, bottom = top + this.height;
    context.strokeStyle = this.colour("--grid");
    context.fillStyle = this.colour("--soft");
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (let bytes = this.least; bytes <= this.most; bytes += this.step) {
      const y = Math.round(this.toY(bytes)) + 0.5;
      context.beginPath();
      context.moveTo(left, y);
      context.lineTo(left + this.width, y);
      context.stroke();
      context.fillText(sizeText(bytes), left - 8, y);
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    const step = niceStep(this.to - this.from, Math.max(2, this.width / 110), 10);
    const origin = this.byTime ? 0 : this.trace.first;
    for (let at = Math.ceil((this.from - origin) / step) * step; at <= this.to - origin; at += step) {
      const x = Math.round(this.toX(at + origin)) + 0.5;
      context.beginPath();
      context.moveTo(x, bottom);
      context.lineTo(x, bottom + 4);
      context.stroke();
      const text = this.byTime ? (at === 0 ? "0" : timeText(at, step)) : countText(at);
      const half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(x, left + this.width + 10 - half), bottom + 8);
    }
  }

  // Steps from column to column; a vertical stroke where a column's events differ.
  path(context, columns, scale) {
    let last = NaN;
    for (let i = 0; i < columns.first.length; i++) {
      if (Number.isNaN(columns.first[i])) continue;
      const x = this.margin.left + i / scale;
      if (Number.isNaN(last)) context.moveTo(x, this.toY(columns.first[i]));
      else { context.lineTo(x, this.toY(last)); context.lineTo(x, this.toY(columns.first[i])); }
      if (columns.most[i] > columns.least[i]) {
        context.lineTo(x, this.toY(columns.least[i]));
        context.lineTo(x, this.toY(columns.most[i]));
        context.lineTo(x, this.toY(columns.last[i]));
      }
      last = columns.last[i];
    }
    if (!Number.isNaN(last)) context.lineTo(this.margin.left + this.width, this.toY(last));
  }

  drawArea(context, columns, scale) {
    context.fillStyle = this.colour("--live");
    let top = NaN, from = 0;
    const fill = (to) => { if (!Number.isNaN(top) && to > from) context.fillRect(from, this.toY(top), to - from, this.toY(this.least) - this.toY(top)); };
    for (let i = 0; i < columns.first.length; i++) {
      if (Number.isNaN(columns.first[i])) continue;
      const x = this.margin.left + i / scale;
      fill(x);
      from = x;
      top = columns.most[i];
      fill(x + 1 / scale);
      from = x + 1 / scale;
      top = columns.last[i];
    }
    fill(this.margin.left + this.width);
  }

  drawCurve(context, one, scale) {
    context.strokeStyle = this.colour(one.colour);
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    context.setLineDash(one.isDashed ? [6, 4] : []);
    context.beginPath();
    this.path(context, one.columns, scale);
    context.stroke();
    context.setLineDash([]);
  }

  drawMarks() {
    const context = this.prepare(this.marks, window.devicePixelRatio || 1), { top } = this.margin;
    const vertical = (x, colour, width) => {
      if (x < this.margin.left - 1 || x > this.margin.left + this.width + 1) return;
      context.strokeStyle = this.colour(colour);
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(x, top);
      context.lineTo(x, top + this.height);
      context.stroke();
    };
    if (this.drag) {
      context.fillStyle = this.colour("--accent");
      context.globalAlpha = 0.15;
      context.fillRect(Math.min(this.drag.from, this.drag.to), top, Math.abs(this.drag.to - this.drag.from), this.height);
      context.globalAlpha = 1;
    }
    const chosen = this.toX(this.position(this.moment));
    vertical(chosen, "--ink", 1.25);
    if (chosen >= this.margin.left - 1 && chosen <= this.margin.left + this.width + 1) {
      context.fillStyle = this.colour("--ink");
      context.beginPath();
      context.arc(chosen, this.toY(Math.max(this.least, this.trace.live[this.moment])), 3.5, 0, 7);
      context.fill();
    }
    if (this.hover !== null) vertical(this.toX(this.position(this.hover)), "--faint", 1);
    const trace = this.trace, host = this.host;
    host.setAttribute("aria-valuemin", trace.first);
    host.setAttribute("aria-valuemax", trace.last);
    host.setAttribute("aria-valuenow", this.moment);
    host.setAttribute("aria-valuetext", `event ${countText(this.moment - trace.first)}, ${sizeText(trace.live[this.moment])} live`);
  }

  showTip(x, y) {
    this.hover = this.eventAtX(x);
    const trace = this.trace, rows = [["live", trace.live[this.hover]]];
    for (const line of trace.lines) if (line.isShown && line.hasReserved) rows.push([`${line.name}, reserved`, line.reserved[this.hover]]);
    const head = element("b", `${timeText(trace.time[this.hover])} · event ${countText(this.hover - trace.first)}`);
    this.tip.replaceChildren(head, ...rows.map(([name, bytes]) => {
      const row = element("div", "", "row");
      row.append(element("span", name), element("span", sizeText(bytes)));
      return row;
    }));
    placeTip(this.tip, this.host, x, y);
    this.drawMarks();
  }
  hideTip() {
    this.hover = null;
    this.tip.hidden = true;
    if (this.trace) this.drawMarks();
  }

  listen() {
    const host = this.host, at = (event) => event.clientX - host.getBoundingClientRect().left;
    host.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.drag = { from: at(event), to: at(event) };
      host.setPointerCapture(event.pointerId);
    });
    host.addEventListener("pointermove", (event) => {
      if (this.drag) this.drag.to = at(event);
      this.showTip(at(event), event.clientY - host.getBoundingClientRect().top);
    });
    host.addEventListener("pointerup", (event) => {
      if (!this.drag) return;
      const { from } = this.drag, to = at(event);
      this.drag = null;
      if (Math.abs(to - from) > 5) this.setRange(this.toPosition(Math.min(from, to)), this.toPosition(Math.max(from, to)));
      else this.actions.choose(this.eventAtX(to));
    });
    host.addEventListener("pointercancel", () => { this.drag = null; this.hideTip(); });
    host.addEventListener("pointerleave", () => this.hideTip());
    host.addEventListener("dblclick", () => this.zoomAll());
    host.addEventListener("wheel", (event) => {
      const span = this.to - this.from;
      if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(event.deltaY / 300), this.toPosition(at(event)));
      else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        const by = ((event.deltaX || event.deltaY) / this.width) * span;
        this.setRange(this.from + by, this.to + by);
      } else return;
      event.preventDefault();
    }, { passive: false });
    host.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = Math.max(1, Math.round((this.eventAtX(this.margin.left + this.width) - this.eventAtX(this.margin.left)) / 50));
    const step = event.shiftKey ? far : 1, trace = this.trace;
    const keys = {
      ArrowLeft: () => this.actions.choose(this.moment - step), ArrowRight: () => this.actions.choose(this.moment + step),
      ArrowDown: () => this.actions.choose(this.moment - step), ArrowUp: () => this.actions.choose(this.moment + step),
      PageDown: () => this.actions.choose(this.moment - 10 * far), PageUp: () => this.actions.choose(this.moment + 10 * far),
      Home: () => this.actions.choose(trace.first), End: () => this.actions.choose(trace.last),
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.zoomAll(),
      p: () => this.actions.choose(trace.peak), P: () => this.actions.choose(trace.peak),
    };
    if (!keys[event.key]) return;
    keys[event.key]();
    event.preventDefault();
  }
}
