// The data of the page: the buffers of one region as typed arrays, the bytes alive over time, and which buffer is where.

class Region {
  constructor(index, meta, ids) {
    Object.assign(this, meta);
    this.ids = ids;
    this.readBuffers(new Numbers(`data-${index}-buffers-0`));
    this.addUp();
    const logs = this.size.map(Math.log);
    this.leastLog = logs.reduce((a, b) => Math.min(a, b), Infinity);
    this.logStep = (logs.reduce((a, b) => Math.max(a, b), 0) - this.leastLog) / Region.steps;
    this.steps = Uint8Array.from(logs, (log) => this.stepOf(log));
    this.peaks = Uint8Array.from(this.from, (_, i) => (this.isAtPeak(i) ? 1 : 0));
  }

  readBuffers(numbers) {
    const make = () => new Float64Array(this.count);
    Object.assign(this, { index: make(), from: make(), to: make(), size: make(), offset: make(), pieces: new Map() });
    for (let i = 0, index = 0, from = 0; i < this.count; i++) {
      index += numbers.next();
      from += Numbers.unfold(numbers.next());
      this.index[i] = index;
      this.from[i] = from;
      this.to[i] = from + numbers.next();
      this.size[i] = numbers.next();
      this.offset[i] = numbers.next();
      const more = numbers.next();
      if (more > 0) this.pieces.set(i, Array.from({ length: more + 1 }, () => this.readPiece(i, numbers)));
    }
  }

  readPiece(i, numbers) {
    const from = this.from[i] + numbers.next(), to = from + numbers.next();
    const low = this.offset[i] + numbers.next();
    return { from, to, low, high: low + numbers.next() };
  }

  // The bytes alive after each moment at which they change, gaps aside.
  addUp() {
    const changes = [];
    for (let i = 0; i < this.count; i++) changes.push([this.from[i], this.size[i]], [this.to[i], -this.size[i]]);
    changes.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    this.live = [];
    let bytes = 0;
    for (const [time, change] of changes) {
      bytes += change;
      const last = this.live[this.live.length - 1];
      if (last && last[0] === time) last[1] = bytes; else this.live.push([time, bytes]);
    }
  }

  // Calls draw(from, to, low, high) for each rectangle of a buffer.
  eachPiece(i, draw) {
    const pieces = this.pieces.get(i);
    if (!pieces) draw(this.from[i], this.to[i], this.offset[i], this.offset[i] + this.size[i]);
    else for (const piece of pieces) if (piece.from < piece.to && piece.low < piece.high) draw(piece.from, piece.to, piece.low, piece.high);
  }

  bufferAt(time, address) {
    for (let i = this.count - 1; i >= 0; i--) {
      if (time < this.from[i] || time >= this.to[i] || address < this.offset[i] || address >= this.offset[i] + this.size[i]) continue;
      let isHit = false;
      this.eachPiece(i, (from, to, low, high) => { isHit ||= time >= from && time < to && address >= low && address < high; });
      if (isHit) return i;
    }
    return -1;
  }

  isAtPeak(i) { return this.from[i] <= this.peak && this.peak < this.to[i]; }
  // The colour of a size, in steps of equal ratio.
  stepOf(log) { return this.logStep > 0 ? Math.min(Region.steps - 1, Math.floor((log - this.leastLog) / this.logStep)) : Region.steps >> 1; }
  sizeOfStep(step) { return Math.exp(this.leastLog + step * this.logStep); }
  timeText(time) { return (BigInt(this.first) + BigInt(Math.round(time))).toLocaleString("en-US"); }
}
Region.steps = 6;
