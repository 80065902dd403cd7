// The block map: the addresses that an allocator used, laid out in rows like the lines of a page, as they were at one moment.
//
// Address ranges far apart would leave the map empty, so it is made of the regions that were ever used, put one after the
// other. An allocator that never uses an address again would still leave it empty; then only regions in use now are shown.

const gapLimit = 2 * 1024 * 1024; // a smaller hole belongs to its region
const rowCount = 18, rowHeight = 15, rowGap = 3;

// Joins intervals, sorted by address, into regions with an offset of their own.
function regionsOf(intervals) {
  const regions = [];
  let total = 0;
  for (const [from, to] of intervals) {
    const last = regions[regions.length - 1];
    if (last && from - last.to <= gapLimit) {
      if (to > last.to) { total += to - last.to; last.to = to; }
    } else {
      regions.push({ from, to, offset: total });
      total += to - from;
    }
  }
  return { regions, total };
}

class BlockMap {
  constructor(host, tip, actions) {
    this.host = host;
    this.tip = tip;
    this.actions = actions; // describe(allocation or -1)
    this.canvas = host.querySelector("canvas");
    this.left = 66;
    this.listen();
    new ResizeObserver(() => this.draw()).observe(host);
  }

  show(line, event, colourOf, chosenHolder) {
    if (line !== this.line) this.whole = null;
    Object.assign(this, { line, event, colourOf, chosenHolder });
    this.collect();
    this.draw();
  }

  // The live blocks in address order, and the layout they are drawn in.
  collect() {
    const { trace, address } = this.line, live = [];
    for (let i = 0; i < trace.count; i++) if (address[i] >= 0 && trace.isLive(i, this.event)) live.push(i);
    live.sort((a, b) => address[a] - address[b]);
    this.live = live;
    if (!this.whole) this.whole = this.everUsed();
    this.isSparse = this.whole.total > 4 * Math.max(this.line.peakReserved() || 0, trace.peakLive);
    this.layout = this.isSparse ? regionsOf(live.map((i) => [address[i], address[i] + trace.size[i]])) : this.whole;
    this.perRow = Math.max(1, this.layout.total / rowCount);
    let region = 0;
    const { regions } = this.layout;
    this.offsets = new Float64Array(live.length);
    for (let k = 0; k < live.length; k++) {
      const at = address[live[k]];
      while (region < regions.length - 1 && regions[region + 1].from <= at) region++;
      this.offsets[k] = regions[region].offset + at - regions[region].from;
    }
  }

  everUsed() {
    const { trace, address } = this.line, largest = new Map();
    for (let i = 0; i < trace.count; i++) {
      if (address[i] < 0) continue;
      const to = address[i] + trace.size[i];
      if (!(largest.get(address[i]) >= to)) largest.set(address[i], to);
    }
    return regionsOf([...largest.entries()].sort((a, b) => a[0] - b[0]));
  }

  get width() { return Math.max(40, this.host.clientWidth - this.left - 2); }

  draw() {
    if (!this.line) return;
    const scale = window.devicePixelRatio || 1, height = rowCount * (rowHeight + rowGap);
    this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(this.host.clientWidth * scale);
    this.canvas.height = Math.round(height * scale);
    const context = this.canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    context.scale(scale, scale);
    context.font = '11px system-ui, "Segoe UI", "Liberation Sans", sans-serif';
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (let row = 0; row < rowCount; row++) {
      const y = row * (rowHeight + rowGap);
      context.fillStyle = colour("--free");
      context.fillRect(this.left, y, this.width, rowHeight);
      context.fillStyle = colour("--faint");
      if (row % 3 === 0) context.fillText(sizeText(row * this.perRow), this.left - 8, y + rowHeight / 2 + 0.5);
    }
    this.drawBlocks(context, colour);
    this.drawBorders(context, colour);
  }

  drawBlocks(context, colour) {
    const { trace } = this.line, names = new Map();
    for (let k = 0; k < this.live.length; k++) {
      const allocation = this.live[k], name = this.colourOf(allocation);
      if (!names.has(name)) names.set(name, colour(name));
      const isDim = this.chosenHolder !== null && !this.chosenHolder(allocation);
      context.globalAlpha = isDim ? 0.22 : 1;
      context.fillStyle = names.get(name);
      this.eachPiece(this.offsets[k], trace.size[allocation], (x, y, width) => {
        context.fillRect(x, y, Math.max(0.5, width > 3 ? width - 0.75 : width), rowHeight);
      });
    }
    context.globalAlpha = 1;
    if (this.chosen === undefined || this.chosen < 0) return;
    const k = this.live.indexOf(this.chosen);
    if (k < 0) return;
    context.strokeStyle = colour("--ink");
    context.lineWidth = 2;
    this.eachPiece(this.offsets[k], trace.size[this.chosen], (x, y, width) => context.strokeRect(x, y + 1, Math.max(2, width), rowHeight - 2));
  }

  // A fine line where one region ends and the next, somewhere else in the address space, begins.
  drawBorders(context, colour) {
    if (this.layout.regions.length > 200) return;
    context.fillStyle = colour("--ink");
    for (const region of this.layout.regions.slice(1)) {
      this.eachPiece(region.offset, 1, (x, y) => context.fillRect(x - 0.5, y - 1, 1, rowHeight + 2));
    }
  }

  // A block may run over several rows: calls draw(x, y, width) for each piece.
  eachPiece(offset, size, draw) {
    let row = Math.min(rowCount - 1, Math.floor(offset / this.perRow)), at = offset - row * this.perRow, rest = size;
    while (rest > 0 && row < rowCount) {
      const length = Math.min(rest, this.perRow - at);
      draw(this.left + (at / this.perRow) * this.width, row * (rowHeight + rowGap), (length / this.perRow) * this.width);
      rest -= Math.max(length, 1);
      at = 0;
      row++;
    }
  }

  blockAt(x, y) {
    const row = Math.floor(y / (rowHeight + rowGap));
    if (x < this.left || x > this.left + this.width || row < 0 || row >= rowCount || y % (rowHeight + rowGap) > rowHeight) return -1;
    const offset = (row + (x - this.left) / this.width) * this.perRow;
    let low = 0, high = this.live.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.offsets[middle] <= offset) low = middle; else high = middle - 1;
    }
    const allocation = this.live[low];
    return this.live.length > 0 && this.offsets[low] <= offset && offset < this.offsets[low] + this.line.trace.size[allocation] ? allocation : -1;
  }

  choose(allocation) {
    this.chosen = allocation;
    this.draw();
    this.actions.describe(allocation);
  }

  listen() {
    const host = this.host, place = (event) => {
      const box = host.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    host.addEventListener("pointermove", (event) => {
      if (!this.line) return;
      const [x, y] = place(event), allocation = this.blockAt(x, y);
      if (allocation < 0) { this.tip.hidden = true; return; }
      this.tip.replaceChildren(...this.actions.rows(allocation).map((row) => element("div", row)));
      placeTip(this.tip, host, x, y);
    });
    host.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    host.addEventListener("click", (event) => { if (this.line) this.choose(this.blockAt(...place(event))); });
    host.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1 };
      if (event.key === "Escape") this.choose(-1);
      if (!steps[event.key] || !this.live || this.live.length === 0) return;
      const k = this.live.indexOf(this.chosen);
      const next = k < 0 ? 0 : Math.min(this.live.length - 1, Math.max(0, k + steps[event.key]));
      this.choose(this.live[next]);
      event.preventDefault();
    });
  }
}
