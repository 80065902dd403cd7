// The data of the page: numbers packed by page.c become typed arrays, and questions about one moment get answers.

// One file: its events' times, its allocations, and a line for each allocator. The first line is the recorded one.
class Trace {
  constructor(index, meta) {
    Object.assign(this, meta);
    this.index = index;
    this.readTimes();
    this.readAllocations();
    this.lines = meta.lines.map((line, i) => new Line(this, i, line));
    // The initial allocations happen before the clock starts: the picture begins when the last of them is there.
    this.first = Math.max(0, this.initial - 1);
    this.last = this.events - 1;
    this.peak = this.first;
    for (let i = this.first; i <= this.last; i++) if (this.live[i] > this.live[this.peak]) this.peak = i;
    this.hasTags = this.tag.some((tag) => tag > 0);
  }
  readTimes() {
    const numbers = new Numbers(`data-${this.index}-times-0`);
    this.time = new Float64Array(this.events);
    for (let i = 0, now = 0; i < this.events; i++) this.time[i] = (now += numbers.next() * this.timeUnit);
  }
  readAllocations() {
    const numbers = new Numbers(`data-${this.index}-allocations-0`), rows = [];
    let event = 0;
    while (!numbers.done) {
      event += numbers.next();
      const length = numbers.next();
      rows.push(event, length > 0 ? event + length : this.events, numbers.next(), numbers.next(), numbers.next(), numbers.next());
    }
    const count = this.count = rows.length / 6;
    const column = (type, k) => { const out = new type(count); for (let i = 0; i < count; i++) out[i] = rows[6 * i + k]; return out; };
    this.start = column(Uint32Array, 0);
    this.end = column(Uint32Array, 1);
    this.size = column(Float64Array, 2);
    this.tag = column(Uint32Array, 3);
    this.site = column(Uint32Array, 4);
    this.stream = column(Uint32Array, 5);
    this.live = new Float64Array(this.events);
    for (let i = 0; i < count; i++) {
      this.live[this.start[i]] += this.size[i];
      if (this.end[i] < this.events) this.live[this.end[i]] -= this.size[i];
    }
    for (let i = 1; i < this.events; i++) this.live[i] += this.live[i - 1];
  }
  isLive(allocation, event) { return this.start[allocation] <= event && event < this.end[allocation]; }
  holderOf(allocation, byTag) { return byTag ? this.tag[allocation] : this.site[allocation]; }
  holderText(holder, byTag) { return holder > 0 ? this.strings[holder - 1] : byTag ? "(no tag)" : "(no call site)"; }
  // What is alive after an event, grouped, the largest group first.
  holdersAt(event, byTag) {
    const groups = new Map();
    for (let i = 0; i < this.count; i++) {
      if (!this.isLive(i, event)) continue;
      const holder = this.holderOf(i, byTag), group = groups.get(holder) || { holder, bytes: 0, blocks: 0 };
      group.bytes += this.size[i];
      group.blocks++;
      groups.set(holder, group);
    }
    return [...groups.values()].sort((a, b) => b.bytes - a.bytes);
  }
  // The last event at or before a time; the first one when there is none.
  eventAt(time) {
    let low = this.first, high = this.last;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.time[middle] <= time) low = middle; else high = middle - 1;
    }
    return low;
  }
}

// What one allocator did: an address for each allocation (-1 where it failed) and what was reserved after each event.
class Line {
  constructor(trace, index, meta) {
    Object.assign(this, meta);
    this.trace = trace;
    this.index = index;
    this.isRecorded = index === 0;
    this.colour = this.isRecorded ? "--recorded" : `--line-${(index - 1) % 6}`;
    this.isShown = true;
  }
  get reserved() {
    if (!this.hasReserved) return null;
    if (!this.values) {
      const numbers = new Numbers(`data-${this.trace.index}-reserved-${this.index}`), values = new Float64Array(this.trace.events);
      let event = 0, bytes = 0, filled = 0;
      while (!numbers.done) {
        event += numbers.next();
        values.fill(bytes, filled, event);
        filled = event;
        bytes += Numbers.unfold(numbers.next());
      }
      values.fill(bytes, filled);
      this.values = values;
    }
    return this.values;
  }
  get address() {
    if (!this.addresses) {
      const numbers = new Numbers(`data-${this.trace.index}-addresses-${this.index}`);
      this.addresses = new Float64Array(this.trace.count).fill(-1);
      for (let i = 0, last = 0; i < this.trace.count && !numbers.done; i++) {
        const value = numbers.next();
        if (value > 0) this.addresses[i] = last += Numbers.unfold(value - 1);
      }
    }
    return this.addresses;
  }
  addressText(allocation) { return `0x${(BigInt(this.base) + BigInt(this.address[allocation])).toString(16)}`; }
  peakReserved() {
    if (this.isRecorded) return this.trace.recordedPeak;
    return this.result.peak_reserved_bytes;
  }
}
