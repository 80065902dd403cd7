// The page: tables and controls around the chart and the block map. Text from files is only ever set as text.

const files = [...document.querySelectorAll("script.file")].map((script) => JSON.parse(script.textContent));
const traces = [];
const state = { trace: null, line: null, byTag: false, holder: null, top: 12 };
const chart = new Chart($("chart"), $("chart-tip"), { choose: (event) => { chart.setMoment(event); showMoment(); } });
const blocks = new BlockMap($("blocks"), $("blocks-tip"), { describe: describeBlock, rows: blockRows });

const latencyText = (ns) => timeText(ns, ns < 1000 ? 1 : ns / 100);

function showResults() {
  const { trace } = state;
  const header = ["allocator", "peak reserved", "utilization", "reserved at end", "driver calls", "device waits", "failed", "allocate p50 / p99", "free p50 / p99"];
  const top = element("tr");
  top.append(...header.map((text) => element("th", text)));
  $("results").tHead.replaceChildren(top);
  const rows = [];
  for (const line of trace.lines) {
    if (line.isRecorded && trace.recordedPeak === null) continue;
    const row = element("tr"), result = line.result;
    const name = cell(row, "", "name"), swatch = element("span", "", "swatch");
    swatch.style.background = `var(${line.colour})`;
    name.append(swatch, line.name);
    cell(row, sizeText(line.peakReserved()));
    cell(row, `${((100 * (result ? result.peak_live_bytes : trace.peakLive)) / line.peakReserved()).toFixed(2)} %`);
    if (result) {
      cell(row, sizeText(result.final_reserved_bytes));
      cell(row, countText(result.driver_allocs + result.driver_frees + result.driver_maps + result.driver_unmaps));
      cell(row, countText(result.device_waits));
      cell(row, countText(result.failed_allocations), result.failed_allocations > 0 ? "bad" : "");
      for (const latency of [result.allocate_ns, result.free_ns]) cell(row, `${latencyText(latency.p50)} / ${latencyText(latency.p99)}`);
    } else for (let i = 0; i < 6; i++) cell(row, "–", "muted");
    rows.push(row);
  }
  $("results").tBodies[0].replaceChildren(...rows);
}

function showLegend() {
  const items = [];
  const live = element("li"), area = element("span", "", "key area"), label = element("label");
  area.style.background = "var(--live)";
  label.append(area, "live: what the program asked for");
  live.append(label);
  items.push(live);
  for (const line of state.trace.lines) {
    if (!line.hasReserved) continue;
    const item = element("li"), name = element("label"), box = element("input"), key = element("span", "", line.isRecorded ? "key dashed" : "key");
    box.type = "checkbox";
    box.checked = line.isShown;
    box.addEventListener("change", () => { line.isShown = box.checked; chart.draw(); });
    key.style.borderColor = `var(${line.colour})`;
    name.append(box, key, line.isRecorded ? "reserved as recorded" : `reserved by ${line.name}`);
    item.append(name);
    items.push(item);
  }
  $("legend").replaceChildren(...items);
}

function showLines() {
  const withMap = state.trace.lines.filter((line) => line.hasMap);
  if (!withMap.includes(state.line)) state.line = withMap[withMap.length - 1] || null;
  $("lines").replaceChildren(...withMap.map((line) => button(line.name, line === state.line, () => { state.line = line; blocks.chosen = -1; showLines(); showBlocks(); })));
}

// One figure of the chosen moment: what it is, how much, and what to add to it.
function figure(colour, name, value, note = "") {
  const made = element("span", "", "figure"), swatch = element("span", "", "swatch");
  swatch.style.background = `var(${colour})`;
  made.append(swatch, `${name} `, element("b", value), note);
  return made;
}

function showMoment() {
  const { trace } = state, event = chart.moment, live = trace.live[event];
  const parts = [element("span", `At ${timeText(trace.time[event])}, event ${countText(event - trace.first)} of ${countText(trace.last - trace.first)}:`)];
  parts.push(figure("--live", "live", sizeText(live)));
  for (const line of trace.lines) {
    if (!line.hasReserved) continue;
    const reserved = line.reserved[event];
    parts.push(figure(line.colour, line.isRecorded ? "recorded" : line.name, sizeText(reserved), `, ${sizeText(reserved - live)} idle`));
  }
  $("moment").replaceChildren(...parts);
  showHolders();
  showBlocks();
}

// The largest holders at the peak get colours of their own, and keep them at every moment.
function colourHolders() {
  state.colours = new Map();
  state.trace.holdersAt(state.trace.peak, state.byTag).slice(0, 8).forEach((group, i) => state.colours.set(group.holder, `--holder-${i}`));
}
const colourOfHolder = (holder) => state.colours.get(holder) || "--holder-rest";

function showHolders() {
  const { trace, byTag } = state, groups = trace.holdersAt(chart.moment, byTag), live = trace.live[chart.moment] || 1;
  const top = element("tr");
  top.append(element("th", "bytes"), element("th", "share"), element("th", ""), element("th", "blocks"), element("th", byTag ? "tag" : "call site, innermost first", "wide"));
  $("holders").tHead.replaceChildren(top);
  $("holders").tBodies[0].replaceChildren(...groups.slice(0, state.top).map((group) => {
    const row = element("tr"), [first, ...frames] = trace.holderText(group.holder, byTag).split(" < ");
    cell(row, sizeText(group.bytes), "name");
    cell(row, `${((100 * group.bytes) / live).toFixed(1)} %`);
    const bar = element("span");
    bar.style.width = `${Math.max(1, (100 * group.bytes) / groups[0].bytes)}%`;
    bar.style.background = `var(${colourOfHolder(group.holder)})`;
    cell(row, "", "bar").append(bar);
    cell(row, countText(group.blocks));
    const name = cell(row, first, "wide");
    if (frames.length > 0) name.append(element("div", frames.join(" ← "), "frames"));
    const point = (holder) => () => { state.holder = holder; showBlocks(); };
    row.addEventListener("pointerenter", point(group.holder));
    row.addEventListener("pointerleave", point(null));
    return row;
  }));
  const rest = groups.length - state.top;
  $("holders-more").textContent = rest > 0 ? `and ${countText(rest)} more ` : "";
  if (rest > 0) $("holders-more").append(button("Show all", false, () => { state.top = Infinity; showHolders(); }));
}

function showBlocks() {
  const { trace, line, byTag } = state;
  $("blocks").hidden = line === null;
  if (line === null) {
    $("blocks-note").textContent = "No addresses are known for this trace.";
    return;
  }
  const isChosen = state.holder === null ? null : (allocation) => trace.holderOf(allocation, byTag) === state.holder;
  blocks.show(line, chart.moment, (allocation) => colourOfHolder(trace.holderOf(allocation, byTag)), isChosen);
  const regions = blocks.layout.regions.length;
  $("blocks-note").textContent = `${countText(blocks.live.length)} blocks in ${sizeText(blocks.layout.total)} of addresses, ${countText(regions)} ${regions === 1 ? "region" : "regions"}`
    + `${blocks.isSparse ? " in use now" : " used in the whole run"}. Colours are the largest holders at the peak; pale is no live block.`;
  if (blocks.chosen >= 0 && !blocks.live.includes(blocks.chosen)) blocks.chosen = -1;
  describeBlock(blocks.chosen === undefined ? -1 : blocks.chosen);
}

function blockRows(allocation) {
  const { trace, line } = state, end = trace.end[allocation];
  const rows = [`${sizeText(trace.size[allocation])} (${countText(trace.size[allocation])} B) at ${line.addressText(allocation)}, stream ${trace.stream[allocation]}`];
  const born = trace.start[allocation] < trace.initial ? "alive before the recording" : `allocated at ${timeText(trace.time[trace.start[allocation]])}`;
  rows.push(`${born}, ${end < trace.events ? `freed at ${timeText(trace.time[end])}` : "never freed"}`);
  if (trace.tag[allocation] > 0) rows.push(trace.holderText(trace.tag[allocation], true));
  if (trace.site[allocation] > 0) rows.push(trace.holderText(trace.site[allocation], false));
  return rows;
}

function describeBlock(allocation) { $("block").textContent = allocation >= 0 ? blockRows(allocation).join(" · ") : ""; }

function setGrouping(byTag) {
  state.byTag = byTag;
  press(["by-tag", byTag], ["by-site", !byTag]);
  colourHolders();
}

function showFile(index) {
  if (!traces[index]) traces[index] = new Trace(index, files[index]);
  const trace = state.trace = traces[index];
  const device = trace.lines[1] ? trace.lines[1].result.device : "";
  document.title = `${trace.name} · tarn replay`;
  $("title").textContent = trace.name;
  $("subtitle").textContent = `${countText(trace.events - trace.initial)} events in ${timeText(trace.time[trace.last] || 0)}, ${countText(trace.initial)} allocations alive before; `
    + `at most ${sizeText(trace.peakLive)} live; replayed on ${device}`;
  $("by-tag").disabled = !trace.hasTags;
  state.holder = null;
  state.top = 12;
  blocks.chosen = -1;
  setGrouping(trace.hasTags && state.byTag);
  showResults();
  showLegend();
  if (trace.events === 0) return;
  chart.show(trace);
  showLines();
  showMoment();
}

function setAxis(byTime) {
  press(["by-time", byTime], ["by-event", !byTime]);
  chart.setAxis(byTime);
}

function start() {
  files.forEach((file, i) => {
    const isUnique = files.every((other) => other === file || other.name !== file.name);
    const option = element("option", isUnique ? file.name : file.path);
    option.value = i;
    $("file").append(option);
  });
  $("file-choice").hidden = files.length < 2;
  $("file").addEventListener("change", () => showFile(Number($("file").value)));
  $("by-time").addEventListener("click", () => setAxis(true));
  $("by-event").addEventListener("click", () => setAxis(false));
  $("from-zero").addEventListener("change", () => { chart.fromZero = $("from-zero").checked; chart.draw(); });
  $("zoom-in").addEventListener("click", () => chart.zoom(0.5));
  $("zoom-out").addEventListener("click", () => chart.zoom(2));
  $("zoom-all").addEventListener("click", () => chart.zoomAll());
  $("to-peak").addEventListener("click", () => chart.actions.choose(state.trace.peak));
  for (const byTag of [true, false]) $(byTag ? "by-tag" : "by-site").addEventListener("click", () => { setGrouping(byTag); showHolders(); showBlocks(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { chart.draw(); blocks.draw(); });
  if (files.length > 0) showFile(0);
}

start();
