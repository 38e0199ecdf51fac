"use strict";

/*
 * The operators' page: asks for /stats once a second, each process of a cluster for itself, and shows what it hears.
 *
 * It changes nothing and sends nothing. HAProxy takes /stats?process=2 to the second process, and says of how many that
 * is; a server by itself knows no such parameter and answers all the same. The last minute is the difference of two
 * answers. Whatever is said is only ever set as text, never as HTML.
 *
 * From top to bottom: histograms (numbers only), one process, what is shown of it, the bars, the page.
 */

const HEADER = "Tickbench-Process";
const ASK_EVERY_MS = 1000;
const ANSWER_WITHIN_MS = 5000;
const DRAW_AFTER_MS = 100;
const LONGEST_PAUSE_S = 3600;
const WINDOW_US = 60e6;
const SNAPSHOT_EVERY_US = 5e6;
const MOST_PROCESSES = 64;
const MOST_ROOMS = 100;

const element = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const total = (values) => values.reduce((sum, value) => sum + value, 0);
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Resolves as soon as somebody can see the page: until then nobody's time is taken for it. */
const seen = () => new Promise((resolve) => {
  if (!document.hidden) resolve();
  else document.addEventListener("visibilitychange", () => resolve(), { once: true });
});

/* ------------------------------------------------------------------ histograms */

/* HDR histograms of microseconds, with 3 digits, as shared/measure/histogram.py has them: how often each value was seen. */

/** The upper bounds of the bars; what is later than the last is in one more. Those of /metrics. */
const BOUNDS_US = [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000];

const HDR_HEADER_BYTES = 8;
const HDR_PAYLOAD_HEADER_BYTES = 40;

const shiftOf = (index) => Math.max(0, (index >> 10) - 1);
const lowestUs = (index) => (index - (shiftOf(index) << 10)) * 2 ** shiftOf(index);
const highestUs = (index) => (index - (shiftOf(index) << 10) + 1) * 2 ** shiftOf(index) - 1;

async function inflate(bytes) {
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(plain).arrayBuffer());
}

/** Returns the counters of a histogram, from the base64 of its HDR V2 encoding: ZigZag LEB128, and -n for n zeros. */
async function decodeCounts(hdr) {
  const packed = Uint8Array.from(atob(hdr), (character) => character.charCodeAt(0));
  const bytes = await inflate(packed.subarray(HDR_HEADER_BYTES));
  const counts = [];
  let value = 0;
  let scale = 1;
  for (const byte of bytes.subarray(HDR_PAYLOAD_HEADER_BYTES)) {
    value += (byte & 127) * scale; // no shifts, which have 32 bits
    scale *= 128;
    if (byte < 128) {
      if (value % 2 === 0) counts.push(value / 2);
      else for (let zeros = (value + 1) / 2; zeros > 0; zeros -= 1) counts.push(0);
      value = 0;
      scale = 1;
    }
  }
  return counts;
}

const countsSince = (counts, earlier) => counts.map((count, index) => count - (earlier[index] ?? 0));

function addCounts(several) {
  const sum = [];
  for (const counts of several) {
    counts.forEach((count, index) => { sum[index] = (sum[index] ?? 0) + count; });
  }
  return sum;
}

/** By bar: a value that shares a counter with a bound counts as within it, as in /metrics. */
function toBars(counts) {
  const bars = Array(BOUNDS_US.length + 1).fill(0);
  let bar = 0;
  counts.forEach((count, index) => {
    while (bar < BOUNDS_US.length && lowestUs(index) > BOUNDS_US[bar]) bar += 1;
    bars[bar] += count;
  });
  return bars;
}

/** The least value that so many percent do not exceed (nearest rank), in us; null where there are none. */
function percentileUs(counts, percent) {
  const all = total(counts);
  let left = Math.max(1, Math.ceil(Number(((percent * all) / 100).toFixed(6))));
  const index = all === 0 ? -1 : counts.findIndex((count) => { left -= count; return left <= 0; });
  return index < 0 ? null : highestUs(index);
}

/* ------------------------------------------------------------------ one process */

/** A process that is asked again and again: what it said last, and whether it answers. */
class Process {
  constructor(number, page) {
    this.number = number;
    this.page = page;
    this.isOver = false;
    this.state = "asking"; // then "answers", "throttled" or "gone"
    this.why = "";
    this.heardAt = null;
    this.stats = null;
    this.counts = []; // of its ticks, by their lateness
    this.recentCounts = []; // of those in the last minute
    this.recentHops = []; // of frames that came by the relay in the last minute, by how long that took
    this.snapshots = []; // of up to a minute ago, the oldest first
    this.cpuPercent = null;
  }

  /** Whether its figures are those of a process that is there. */
  get isCounted() {
    return this.stats !== null && this.state !== "gone";
  }

  async watch() {
    while (!this.isOver) {
      await seen();
      const next = performance.now() + ASK_EVERY_MS;
      const pauseMs = await this.ask();
      this.page.changed();
      await sleep(Math.max(next - performance.now(), pauseMs));
    }
  }

  /** Asks once; returns for how many ms it wants to be left alone. */
  async ask() {
    let response;
    try {
      const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
      response = await fetch(`stats?process=${this.number}`, { cache: "no-store", signal });
    } catch (error) {
      const isLate = error.name === "TimeoutError";
      return this.note("gone", isLate ? `no answer in ${ANSWER_WITHIN_MS / 1000} s` : "it can't be reached");
    }
    const place = /^(\d{1,2})\/(\d{1,2})$/.exec(response.headers.get(HEADER) ?? "");
    if (this.number === 1 && (place !== null || response.ok)) this.page.expect(place === null ? 1 : Number(place[2]));
    if (!response.ok) await response.arrayBuffer().catch(() => null); // so that its connection is free for the next
    if (response.status === 429) {
      const pauseS = clamp(Number(response.headers.get("Retry-After")) || 1, 1, LONGEST_PAUSE_S);
      return this.note("throttled", `it is asked again in ${pauseS} s`, pauseS * 1000);
    }
    if (!response.ok) return this.note("gone", `HTTP ${response.status}`);
    if (this.number > 1 && Number(place?.[1]) !== this.number) return this.note("gone", "another process answers for it");
    try {
      await this.take(await response.json());
    } catch {
      return this.note("gone", "its answer can't be read");
    }
    this.heardAt = new Date();
    return this.note("answers", "");
  }

  note(state, why, pauseMs = 0) {
    this.state = state;
    this.why = why;
    return pauseMs;
  }

  async take(stats) {
    const counts = await decodeCounts(stats.ticks.start_lateness_ms.hdr);
    const hops = stats.relay ? await decodeCounts(stats.relay.hop.hdr) : [];
    const added = [...FIGURES, ...RELAY_FIGURES].filter((figure) => figure.of);
    const figures = Object.fromEntries(added.map((figure) => [figure.name, figure.of(stats)]));
    const before = this.stats;
    const isSame = before !== null && before.process.pid === stats.process.pid && before.started_us === stats.started_us;
    const passedUs = isSame ? stats.now_us - before.now_us : 0;
    this.cpuPercent = passedUs > 0 ? ((stats.process.cpu_s - before.process.cpu_s) / passedUs) * 1e8 : null;
    if (!isSame || passedUs > WINDOW_US) this.snapshots = [];
    Object.assign(this, { stats, counts, figures });
    this.keep({ nowUs: stats.now_us, counts, hops, figures });
    this.recentCounts = countsSince(counts, this.snapshots[0].counts);
    this.recentHops = countsSince(hops, this.snapshots[0].hops);
  }

  /** Of what was a minute ago and is older than that, the newest is kept. */
  keep(snapshot) {
    const { snapshots } = this;
    const last = snapshots[snapshots.length - 1];
    if (last === undefined || snapshot.nowUs - last.nowUs >= SNAPSHOT_EVERY_US) snapshots.push(snapshot);
    while (snapshots.length > 1 && snapshot.nowUs - snapshots[1].nowUs >= WINDOW_US) snapshots.shift();
  }

  /** By how much a counter has gone up in the last minute. */
  recent(name) {
    return this.figures[name] - this.snapshots[0].figures[name];
  }
}

/* ------------------------------------------------------------------ what is shown of it */

const formatCount = (value) => value.toLocaleString("en");
const formatMiB = (bytes) => `${formatCount(Math.round(bytes / 2 ** 20))} MiB`;
const formatPercent = (value) => `${value.toFixed(value < 10 ? 1 : 0)} %`;

function formatMs(us) {
  const ms = us / 1000;
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`;
}

/** How many are in the rooms; where several processes have one room, each tells of the same snakes. */
function snakesIn(processes) {
  const rooms = new Map();
  for (const { stats } of processes) {
    for (const { name, alive } of stats.rooms) rooms.set(name, Math.max(alive, rooms.get(name) ?? 0));
  }
  return total([...rooms.values()]);
}

const roomsIn = (processes) => new Set(processes.flatMap(({ stats }) => stats.rooms.map((room) => room.name))).size;
const counter = (name, title, of) => ({ name, title, of, isCounter: true, show: formatCount });
const lateness = (title, percent) => ({
  title, show: formatMs, all: (processes) => percentileUs(addCounts(processes.map((each) => each.recentCounts)), percent),
});

/** `of` one /stats, added up; or of `all`, which may be one process. Null is not known yet. */
const FIGURES = [
  { name: "connections", title: "connections", of: (stats) => stats.connections, show: formatCount },
  { title: "rooms", all: roomsIn, show: formatCount },
  { title: "living snakes", all: snakesIn, show: formatCount },
  lateness("lateness p50", 50),
  lateness("lateness p99", 99),
  lateness("lateness max", 100),
  counter("ticks", "ticks", (stats) => stats.ticks.count),
  counter("skipped", "ticks skipped", (stats) => stats.ticks.skipped_ticks),
  counter("slow_skips", "slow: frames skipped", (stats) => stats.slow_skips),
  counter("slow_closed", "slow: closed", (stats) => stats.slow_closed),
  counter("accepted", "accepted", (stats) => stats.accepted),
  counter("refused", "refused", (stats) => total(Object.values(stats.refused))),
  { title: "CPU, of a core", all: cpuOf, show: formatPercent },
  { name: "rss", title: "memory", of: (stats) => stats.process.rss_bytes, show: formatMiB },
];

const ofRelay = (key) => (stats) => stats.relay?.[key] ?? 0;
const hop = (title, percent) => ({
  title, show: formatMs, all: (processes) => percentileUs(addCounts(processes.map((each) => each.recentHops)), percent),
});

/** What a process that has its rooms with others says of the relay, as above. */
const RELAY_FIGURES = [
  { name: "owned_rooms", title: "rooms owned", of: ofRelay("owned_rooms"), show: formatCount },
  { name: "edge_rooms", title: "rooms of others", of: ofRelay("edge_rooms"), show: formatCount },
  { name: "guests", title: "guests", of: ofRelay("guests"), show: formatCount },
  counter("lost", "messages lost", ofRelay("lost")),
  { name: "resyncs", title: "resyncs", of: ofRelay("resyncs"), show: formatCount },
  hop("hop p50", 50),
  hop("hop p99", 99),
];

function cpuOf(processes) {
  const known = processes.map((each) => each.cpuPercent).filter((percent) => percent !== null);
  return known.length === 0 ? null : total(known);
}

/** A figure of some processes, as text. */
function show(figure, processes) {
  const value = figure.of ? total(processes.map((each) => each.figures[figure.name])) : figure.all(processes);
  if (processes.length === 0 || value === null) return "–";
  const more = figure.isCounter ? total(processes.map((each) => each.recent(figure.name))) : 0;
  return figure.show(value) + (more > 0 ? ` (+${formatCount(more)})` : "");
}

/** What is said of one process in a state, and of several. */
const WORDS = {
  asking: ["is asked", "are asked"],
  answers: ["answers", "answer"],
  throttled: ["was asked too often", "were asked too often"],
  gone: ["does not answer", "do not answer"],
};

function describeState({ state, why, heardAt }) {
  const heard = heardAt === null ? "never heard" : `heard at ${heardAt.toLocaleTimeString()}`;
  return state === "answers" ? heard : [WORDS[state][0], why, heard].filter((words) => words !== "").join(", ");
}

/** What a setting is, as /stats has it: also of a server that has settings which this page does not know. */
function describe(value) {
  if (value === null || value === undefined || value === "") return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function settingsOf({ stats }) {
  const { version, tick_rate_hz, settings, in_force, process } = stats;
  const named = { version, python: process.python, tick_rate_hz, ...settings, ...in_force };
  return new Map(Object.entries(named).map(([name, value]) => [name, describe(value)]));
}

/* ------------------------------------------------------------------ the bars */

function svgElement(tag, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

/** The share of ticks by how late they started: since the start behind, of the last minute before it. */
class Bars {
  static LEFT = 56;
  static TOP = 8;
  static BOTTOM = 36;
  static DECADES = 5; // from 100 % down to 0.001 %
  static LEAST_LABEL = 30; // pixels that the name of a bound needs

  constructor(svg) {
    this.svg = svg;
  }

  draw(minute, start) {
    const { clientWidth, clientHeight } = this.svg;
    this.width = (clientWidth - Bars.LEFT) / (BOUNDS_US.length + 1);
    this.height = clientHeight - Bars.TOP - Bars.BOTTOM;
    if (this.width <= 0 || this.height <= 0) return;
    this.svg.setAttribute("viewBox", `0 0 ${clientWidth} ${clientHeight}`);
    const bars = [...this.bars("bar-start", start, 0.06), ...this.bars("bar-minute", minute, 0.26)];
    this.svg.replaceChildren(...this.grid(clientWidth), ...bars, ...this.names());
  }

  grid(right) {
    return Array.from({ length: Bars.DECADES + 1 }, (_, decade) => {
      const y = Bars.TOP + (this.height * decade) / Bars.DECADES;
      const name = `${Number((100 / 10 ** decade).toPrecision(1))} %`;
      return [
        svgElement("line", { x1: Bars.LEFT, x2: right, y1: y, y2: y }),
        svgElement("text", { x: Bars.LEFT - 6, y: y + 4, "text-anchor": "end" }, name),
      ];
    }).flat();
  }

  bars(kind, counts, inset) {
    const all = total(counts);
    return counts.flatMap((count, bar) => {
      if (count === 0) return [];
      const height = this.height * clamp(1 + Math.log10(count / all) / Bars.DECADES, 0.02, 1);
      const x = Bars.LEFT + this.width * (bar + inset);
      const y = Bars.TOP + this.height - height;
      return [svgElement("rect", { class: kind, x, y, width: this.width * (1 - 2 * inset), height })];
    });
  }

  /** Bounds stand where they are: at the right of their bars. */
  names() {
    const every = Math.max(1, Math.ceil(Bars.LEAST_LABEL / this.width));
    const y = Bars.TOP + this.height + 14;
    const bounds = BOUNDS_US.flatMap((us, bar) => {
      if ((BOUNDS_US.length - 1 - bar) % every !== 0) return [];
      return [svgElement("text", { x: Bars.LEFT + this.width * (bar + 1), y, "text-anchor": "middle" }, String(us / 1000))];
    });
    const middle = Bars.LEFT + (this.width * (BOUNDS_US.length + 1)) / 2;
    return [...bounds, svgElement("text", { x: middle, y: y + 16, "text-anchor": "middle" }, "late by, ms")];
  }
}

/* ------------------------------------------------------------------ the page */

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function addCell(row, tag) {
  const made = document.createElement(tag);
  if (tag === "th") made.scope = "row";
  return row.appendChild(made);
}

/** Gives a part of a table these rows of text, the first of each its head; what stays the same is left alone. */
function fillRows(part, rows) {
  while (part.rows.length > rows.length) part.deleteRow(-1);
  rows.forEach((cells, index) => {
    const row = part.rows[index] ?? part.insertRow();
    cells.forEach((text, column) => setText(row.cells[column] ?? addCell(row, column === 0 ? "th" : "td"), text));
  });
}

/** The same with a list of names and values. */
function fillPairs(list, pairs) {
  while (list.children.length > pairs.length) list.lastElementChild.remove();
  pairs.forEach(([name, value], index) => {
    let pair = list.children[index];
    if (pair === undefined) {
      pair = list.appendChild(document.createElement("div"));
      pair.append(document.createElement("dt"), document.createElement("dd"));
    }
    setText(pair.firstElementChild, name);
    setText(pair.lastElementChild, value);
  });
}

class Page {
  constructor() {
    this.processes = [];
    this.bars = new Bars(element("bars"));
    this.willDraw = false;
    setText(element("where"), location.host);
    for (const title of ["process", "state", ...FIGURES.map((figure) => figure.title), "started"]) {
      const head = addCell(element("processes-head"), "th");
      head.scope = "col";
      head.textContent = title;
    }
    for (const title of ["process", "relay", ...RELAY_FIGURES.map((figure) => figure.title)]) {
      const head = addCell(element("relays-head"), "th");
      head.scope = "col";
      head.textContent = title;
    }
    new ResizeObserver(() => this.changed()).observe(element("bars"));
    this.expect(1);
  }

  /** There are so many processes: the others are asked from now on, or not any more. */
  expect(count) {
    const wanted = clamp(count, 1, MOST_PROCESSES);
    while (this.processes.length > wanted) this.processes.pop().isOver = true;
    while (this.processes.length < wanted) {
      const process = new Process(this.processes.length + 1, this);
      this.processes.push(process);
      process.watch();
    }
    document.body.dataset.processes = String(wanted);
  }

  /** Many processes answer at any time: what they say is shown together. */
  changed() {
    if (this.willDraw) return;
    this.willDraw = true;
    setTimeout(() => {
      this.willDraw = false;
      this.draw();
    }, DRAW_AFTER_MS);
  }

  draw() {
    const counted = this.processes.filter((process) => process.isCounted);
    this.drawStatus(counted);
    fillPairs(element("sums"), FIGURES.map((figure) => [figure.title, show(figure, counted)]));
    this.drawProcesses(counted);
    this.drawLateness(counted);
    this.drawRelay(counted);
    this.drawRooms(counted);
    this.drawSettings(counted);
  }

  /** It is read out where it changes, so nothing is in it that changes all the time. */
  drawStatus(counted) {
    const [text, tone] = this.status();
    element("status").dataset.tone = tone;
    setText(element("status"), text);
    const heard = this.processes.map((process) => process.heardAt).filter((date) => date !== null);
    const last = heard.length === 0 ? null : new Date(Math.max(...heard));
    setText(element("heard"), last === null ? "–" : last.toLocaleTimeString());
    const { length } = this.processes;
    setText(element("counted"), length === 1 ? "" : `, ${counted.length} of ${length} processes`);
    const arms = [...new Set(counted.map(({ stats }) => describe(stats.arm ?? stats.backend)))];
    if (counted.length > 0) setText(element("arm"), arms.join(" · "));
    element("arm").hidden = element("arm").textContent === "";
    document.title = `monitor · ${location.host} · tickbench`;
  }

  status() {
    const isAlone = this.processes.length === 1;
    const among = (state) => this.processes.filter((process) => process.state === state);
    for (const [state, tone] of [["gone", "error"], ["throttled", "wait"]]) {
      const found = among(state);
      if (found.length > 0) {
        const [one, several] = WORDS[state];
        const numbers = found.map((process) => process.number).join(", ");
        const whoOne = isAlone ? "The server" : `Process ${numbers}`;
        const said = found.length === 1 ? `${whoOne} ${one}` : `Processes ${numbers} ${several}`;
        return [`${said}: ${found[0].why}.`, tone];
      }
    }
    if (among("asking").length > 0) return ["Asking for figures…", "info"];
    const cut = this.processes.filter(({ stats }) => stats?.relay && !stats.relay.is_up).map((process) => process.number);
    if (cut.length === 1) return [isAlone ? "The server can't reach its relay." : `Process ${cut[0]} can't reach its relay.`, "error"];
    if (cut.length > 1) return [`Processes ${cut.join(", ")} can't reach their relay.`, "error"];
    return [isAlone ? "The server answers." : `All ${this.processes.length} processes answer.`, "good"];
  }

  drawProcesses(counted) {
    const rows = this.processes.map((process) => {
      const { number, stats } = process;
      return [
        stats === null ? String(number) : `${number} (pid ${stats.process.pid})`,
        describeState(process),
        ...FIGURES.map((figure) => (stats === null ? "–" : show(figure, [process]))),
        stats === null ? "–" : new Date(stats.started_us / 1000).toLocaleString(),
      ];
    });
    fillRows(element("processes-body"), rows);
    this.processes.forEach(({ state }, index) => { element("processes-body").rows[index].dataset.state = state; });
    const sum = ["sum", `of ${counted.length}`, ...FIGURES.map((figure) => show(figure, counted)), ""];
    fillRows(element("processes-foot"), [sum]);
  }

  drawLateness(counted) {
    const minute = toBars(addCounts(counted.map((process) => process.recentCounts)));
    const start = toBars(addCounts(counted.map((process) => process.counts)));
    this.bars.draw(minute, start);
    const names = [...BOUNDS_US.map((us) => `up to ${us / 1000}`), `more than ${BOUNDS_US[BOUNDS_US.length - 1] / 1000}`];
    fillRows(element("numbers-body"), names.map((name, bar) => [name, formatCount(minute[bar]), formatCount(start[bar])]));
  }

  /** Only where there is one; a process that does not answer says nothing of it. */
  drawRelay(counted) {
    const related = counted.filter(({ stats }) => stats.relay);
    element("relay").hidden = related.length === 0;
    setText(element("relay-url"), [...new Set(related.map(({ stats }) => describe(stats.relay.url)))].join(", "));
    fillRows(element("relays-body"), related.map((process) => [
      String(process.number),
      process.stats.relay.is_up ? "up" : "gone",
      ...RELAY_FIGURES.map((figure) => show(figure, [process])),
    ]));
    related.forEach(({ stats }, index) => { element("relays-body").rows[index].dataset.state = stats.relay.is_up ? "up" : "gone"; });
  }

  /** The fullest first; where several processes have a room, each has a row of it. */
  drawRooms(counted) {
    const rooms = counted.flatMap(({ number, stats }) => stats.rooms.map((room) => ({ ...room, number })));
    const byName = (one, other) => one.name.localeCompare(other.name) || one.number - other.number;
    rooms.sort((one, other) => other.members - one.members || byName(one, other));
    const shown = rooms.slice(0, MOST_ROOMS);
    fillRows(element("rooms-body"), shown.map((room) => (
      [room.name, String(room.number), ...[room.members, room.alive, room.ticks, room.skipped_ticks].map(formatCount)]
    )));
    const more = rooms.slice(MOST_ROOMS);
    const members = formatCount(total(more.map((room) => room.members)));
    const rest = `the fullest ${MOST_ROOMS}; ${formatCount(more.length)} more have ${members} members`;
    setText(element("rooms-more"), more.length === 0 ? "" : rest);
    element("rooms").hidden = rooms.length === 0;
    element("rooms-empty").hidden = rooms.length > 0;
  }

  drawSettings(counted) {
    if (counted.length === 0) return; // those of before are the best that is known
    const all = counted.map(settingsOf);
    const pairs = [...all[0].keys()].map((name) => {
      const values = [...new Set(all.map((settings) => settings.get(name) ?? "none"))];
      return [name, values.length === 1 ? values[0] : `differs: ${values.join(", ")}`];
    });
    fillPairs(element("settings"), pairs);
  }
}

new Page();
