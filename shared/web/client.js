"use strict";

/*
 * The browser's side of the game: one WebSocket in, a field, two lists and a chart of tick arrival out.
 *
 * It speaks the wire protocol and has none of the rules: the server says which cells change. Names and error texts come
 * from strangers: they are only ever set as text, never as HTML.
 *
 * From top to bottom: clock and ticks (numbers only), the field (cells only), two painters, the link, the game, the page.
 */

const element = (id) => document.getElementById(id);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Milliseconds since the Unix epoch. It never steps, which Date.now() may; on some systems it stands still in a suspend. */
const epochNow = () => performance.timeOrigin + performance.now();

/** The coarsest step of a browser's clock, in ms: where other origins share the process, it is made coarse on purpose. */
const CLOCK_GRAIN_MS = window.crossOriginIsolated ? 0.02 : 1;

const KEY_CODES = new Map([
  ["ArrowLeft", 37], ["ArrowUp", 38], ["ArrowRight", 39], ["ArrowDown", 40],
  ["KeyA", 37], ["KeyW", 38], ["KeyD", 39], ["KeyS", 40],
]);
const DIRECTIONS = [[-1, 0], [0, -1], [1, 0], [0, 1]];
const DEFAULT_ROOM = "main";
const NAME_KEY = "tickbench.name";
const ARM_TIMEOUT_MS = 5000;
const LONGEST_ARM = 100;

/* ------------------------------------------------------------------ clock and ticks */

/**
 * How far the server's clock is from ours, by the ping with the least round trip.
 *
 * The server read its clock at some time in the round trip: the offset is within half of it, `halfWidth`. Two pings whose
 * intervals have nothing in common are of clocks that have moved against each other meanwhile: the newer one is right.
 */
class ClockEstimate {
  static KEPT_MS = 60000;
  static STEP_MS = 30; // two clocks that are set right slowly (500 ppm) come as far apart in KEPT_MS: more is a step

  constructor() {
    this.forget(-Infinity);
  }

  /** Knows nothing any more; whatever answers a ping of before is of no use. */
  forget(nowMs) {
    this.pings = [];
    this.best = null;
    this.askedFrom = nowMs;
  }

  /** All times in ms: the first two by our clock, the third by the server's. Returns whether one of them has stepped. */
  add(sentAt, receivedAt, serverAt) {
    if (!(sentAt >= this.askedFrom)) return false;
    const roundTrip = receivedAt - sentAt;
    const offset = serverAt - (sentAt + roundTrip / 2);
    const ping = { receivedAt, roundTrip, offset, halfWidth: roundTrip / 2 + CLOCK_GRAIN_MS };
    const apartMs = (other) => Math.abs(other.offset - offset) - other.halfWidth - ping.halfWidth;
    const stepped = this.best !== null && apartMs(this.best) > ClockEstimate.STEP_MS;
    this.pings = this.pings.filter((other) => receivedAt - other.receivedAt < ClockEstimate.KEPT_MS && apartMs(other) <= 0);
    this.pings.push(ping);
    this.best = this.pings.reduce((least, other) => (other.roundTrip < least.roundTrip ? other : least));
    return stepped;
  }

  /** What a round trip of the last minute's pings usually took. */
  usualRoundTrip() {
    return summarize(this.pings.map((ping) => ping.roundTrip))?.[0] ?? null;
  }

  /** Whether by this estimate a tick came before it was due, which none does. */
  isTooEarly(dueMs, arrivedMs) {
    return this.best !== null && arrivedMs + this.best.offset + this.best.halfWidth + ClockEstimate.STEP_MS < dueMs;
  }
}

/** Notices that this machine slept: the clock of the wall went on, the one that never steps did not. Or that the first was set. */
class SleepWatch {
  static LEAST_MS = 1000; // less is left to the pings

  constructor() {
    this.apartMs = this.read();
  }

  read() {
    return Date.now() - epochNow();
  }

  hasSlept() {
    const before = this.apartMs;
    this.apartMs = this.read();
    return Math.abs(this.apartMs - before) > SleepWatch.LEAST_MS;
  }
}

/** The ticks of the last seconds: when each was due, when it came, how many were missing before it. */
class TickLog {
  static WINDOW_MS = 20000;
  static RATE_WINDOW_MS = 5000;
  static MOST_TICKS = 5000;
  static WARM_UP_MS = 1000; // the first ticks meet a page still busy with the field: counted, not measured

  constructor() {
    this.ticks = [];
    this.received = 0;
    this.last = null;
    this.measuredFrom = null;
    this.periodMs = null;
    this.clockFrom = -Infinity;
  }

  /** Forgets the last tick: the server did not skip what was missed while not connected. */
  breakSeries() {
    this.last = null;
    this.measuredFrom = null;
  }

  /** Forgets how late ticks were until now: they were due by another clock than the next ones. */
  breakClock(nowMs) {
    this.last = null;
    this.clockFrom = nowMs;
  }

  /** Whether a tick is due before the last one, as after a step of the server's clock. */
  goesBack(n, dueMs) {
    return this.last !== null && n > this.last.n && dueMs <= this.last.dueMs;
  }

  add(n, dueMs, arrivedMs) {
    const tick = { n, dueMs, arrivedMs, intervalError: null, skipped: 0, afterPause: true };
    if (this.last !== null) this.compare(tick, this.last);
    this.measuredFrom ??= arrivedMs + TickLog.WARM_UP_MS;
    this.last = tick;
    this.received += 1;
    if (arrivedMs >= this.measuredFrom) this.ticks.push(tick);
    this.forget(arrivedMs - TickLog.WINDOW_MS);
  }

  compare(tick, before) {
    if (tick.n <= before.n) return;
    this.periodMs = (tick.dueMs - before.dueMs) / (tick.n - before.n);
    tick.skipped = tick.n - before.n - 1;
    tick.afterPause = before.arrivedMs < this.measuredFrom || tick.arrivedMs - before.arrivedMs > 5 * this.periodMs;
    if (tick.skipped === 0) tick.intervalError = Math.abs(tick.arrivedMs - before.arrivedMs - this.periodMs);
  }

  forget(beforeMs) {
    const old = this.ticks.findIndex((tick) => tick.arrivedMs >= beforeMs);
    const surplus = this.ticks.length - TickLog.MOST_TICKS;
    this.ticks.splice(0, Math.max(old === -1 ? this.ticks.length : old, surplus));
  }

  intervalErrors() {
    return this.ticks.map((tick) => tick.intervalError).filter((error) => error !== null);
  }

  /** Those whose lateness the estimate of the clock is good for. */
  timed() {
    return this.ticks.filter((tick) => tick.arrivedMs >= this.clockFrom);
  }

  latenesses(offsetMs) {
    return this.timed().map((tick) => tick.arrivedMs + offsetMs - tick.dueMs);
  }

  skipped() {
    return this.ticks.reduce((sum, tick) => sum + tick.skipped, 0);
  }

  perSecond(nowMs) {
    if (this.measuredFrom === null) return null;
    const from = Math.max(this.measuredFrom, nowMs - TickLog.RATE_WINDOW_MS);
    const count = this.ticks.filter((tick) => tick.arrivedMs > from).length;
    return nowMs - from < 1000 ? null : (1000 * count) / (nowMs - from);
  }

  /** How long nothing has come, once that is longer than a tick may reasonably take. */
  silenceMs(nowMs) {
    if (this.last === null) return 0;
    const silence = nowMs - this.last.arrivedMs;
    return silence > Math.max(1000, 5 * (this.periodMs ?? 0)) ? silence : 0;
  }
}

/** p50, p99 (nearest rank) and the greatest. */
function summarize(values) {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  const rank = (share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  return [rank(0.5), rank(0.99), sorted[sorted.length - 1]];
}

function formatMs(value) {
  const size = Math.abs(value);
  return value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);
}

/* ------------------------------------------------------------------ the field */

const [EMPTY, HEAD, BODY, TAIL, STONE, DEAD_HEAD, DEAD_TAIL] = " %@*#x+";

/** The cells as the server last told them, which of them must be drawn again, and where each living head looks. */
class Field {
  constructor() {
    this.allocate(50, 25);
  }

  allocate(columns, rows) {
    this.columns = columns;
    this.rows = rows;
    this.codes = new Uint16Array(columns * rows);
    this.colors = new Uint8Array(columns * rows);
    this.clear();
  }

  clear() {
    this.codes.fill(EMPTY.charCodeAt(0));
    this.colors.fill(0);
    this.heads = new Map();
    this.freshHeads = [];
    this.ownHead = null;
    this.dirty = new Set();
    this.allDirty = true;
  }

  load(rows) {
    this.allocate(rows[0].length, rows.length);
    rows.forEach((row, y) => row.forEach(([char, color], x) => this.set(x, y, char, color)));
  }

  set(x, y, char, color) {
    if (!(x >= 0 && x < this.columns && y >= 0 && y < this.rows)) return;
    const index = y * this.columns + x;
    this.codes[index] = char.charCodeAt(0);
    this.colors[index] = color;
    if (char === HEAD) this.freshHeads.push(index);
    if (!this.allDirty) this.dirty.add(index);
  }

  charAt(index) {
    return String.fromCharCode(this.codes[index]);
  }

  position(index) {
    return [index % this.columns, Math.floor(index / this.columns)];
  }

  neighbours(index) {
    const [x, y] = this.position(index);
    return DIRECTIONS
      .filter(([dx, dy]) => x + dx >= 0 && x + dx < this.columns && y + dy >= 0 && y + dy < this.rows)
      .map(([dx, dy]) => ({ index: index + dy * this.columns + dx, dx, dy }));
  }

  /** Call after the last change of a frame. Returns the heads that the frame drew, each with its color and what it did. */
  settle() {
    const drawn = this.freshHeads.filter((index) => this.charAt(index) === HEAD).map((index) => this.headAt(index));
    for (const index of this.heads.keys()) {
      if (this.charAt(index) !== HEAD) this.heads.delete(index);
    }
    for (const head of drawn) this.heads.set(head.index, head);
    this.freshHeads = [];
    return drawn;
  }

  /** A head looks away from where it was in the frame before, or, newborn, from its neck. */
  headAt(index) {
    const color = this.colors[index];
    const around = this.neighbours(index);
    const before = around.find((cell) => this.heads.get(cell.index)?.color === color);
    const neck = before ?? around.find((cell) => this.colors[cell.index] === color && [BODY, TAIL].includes(this.charAt(cell.index)));
    return { index, color, newborn: before === undefined, facing: neck ? [-neck.dx, -neck.dy] : [1, 0] };
  }
}

/* ------------------------------------------------------------------ painters */

/** The colors of style.css, for the canvases. */
function readPalette() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    field: [color("field-even"), color("field-odd")],
    snakes: [0, 1, 2, 3, 4, 5, 6].map((number) => color(`color-${number}`)),
    stone: color("stone"), stoneLight: color("stone-light"), dead: color("dead"),
    eye: color("eye"), pupil: color("pupil"), ring: color("ring"),
    lateness: color("lateness"), interval: color("interval"), skipped: color("bad"),
    grid: color("grid"), label: color("label"), surface: color("surface"),
  };
}

/**
 * Draws a field on a canvas, only the cells that changed.
 *
 * The whole field is shown, as large as it fits. Where that makes cells too small to steer by, a player sees the part around
 * the own head instead; who only watches keeps the overview.
 */
class FieldPainter {
  static SMALLEST_TO_STEER = 5; // CSS pixels a cell
  static WINDOW_CELL = 11;
  static PLAIN_BELOW = 6; // device pixels: smaller cells are plain squares
  static SHARE_OF_HEIGHT = 0.6;

  constructor(canvas, frame, field, palette) {
    this.canvas = canvas;
    this.frame = frame;
    this.context = canvas.getContext("2d", { alpha: false });
    this.field = field;
    this.palette = palette;
    this.playing = false;
  }

  /** Call when the frame, the field's size or `playing` changed. */
  fit() {
    const ratio = window.devicePixelRatio || 1;
    const width = this.frame.clientWidth * ratio;
    const height = Math.max(240, window.innerHeight * FieldPainter.SHARE_OF_HEIGHT) * ratio;
    if (width === 0) return;
    const { columns, rows } = this.field;
    const largest = Math.min(width / columns, height / rows);
    const windowed = this.playing && largest < FieldPainter.SMALLEST_TO_STEER * ratio;
    const shown = windowed ? FieldPainter.WINDOW_CELL * ratio : largest;
    // Cells that are only a few pixels wide are drawn in whole pixels, and the browser shrinks the picture.
    this.pitch = shown < FieldPainter.PLAIN_BELOW ? Math.ceil(shown) : shown;
    this.cell = Math.floor(this.pitch);
    this.plain = this.cell < FieldPainter.PLAIN_BELOW;
    this.view = {
      left: 0, top: 0,
      columns: windowed ? Math.min(columns, Math.floor(width / shown)) : columns,
      rows: windowed ? Math.min(rows, Math.floor(height / shown)) : rows,
    };
    this.canvas.width = this.edge(this.view.columns);
    this.canvas.height = this.edge(this.view.rows);
    this.canvas.style.width = `${(this.canvas.width / ratio) * (shown / this.pitch)}px`;
    this.canvas.style.height = `${(this.canvas.height / ratio) * (shown / this.pitch)}px`;
    this.field.allDirty = true;
  }

  /** Where the n-th cell starts, in whole pixels, so that cells stay sharp and fill the width although the pitch is a fraction. */
  edge(n) {
    return Math.round(n * this.pitch);
  }

  paint() {
    if (this.view === undefined) return;
    this.keepInView(this.field.ownHead);
    if (this.field.allDirty) this.paintAll();
    else for (const index of this.field.dirty) this.paintCell(index);
    this.field.dirty.clear();
    this.field.allDirty = false;
  }

  keepInView(head) {
    if (head === null) return;
    const [x, y] = this.field.position(head);
    const left = this.scrolled(x, this.view.left, this.view.columns, this.field.columns);
    const top = this.scrolled(y, this.view.top, this.view.rows, this.field.rows);
    if (left === this.view.left && top === this.view.top) return;
    Object.assign(this.view, { left, top });
    this.field.allDirty = true;
  }

  /** The view stays until the head comes near its edge, then centres on it. */
  scrolled(head, start, visible, total) {
    const margin = Math.floor(visible / 5);
    const seen = head >= start + margin && head < start + visible - margin;
    return seen ? start : clamp(head - Math.floor(visible / 2), 0, total - visible);
  }

  paintAll() {
    const { left, top, columns, rows } = this.view;
    this.context.fillStyle = this.palette.field[0];
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    for (let y = top; y < top + rows; y += 1) {
      for (let x = left; x < left + columns; x += 1) {
        const index = y * this.field.columns + x;
        if (!this.plain || this.field.charAt(index) !== EMPTY) this.paintCell(index);
      }
    }
  }

  paintCell(index) {
    const [column, row] = this.field.position(index);
    const across = column - this.view.left;
    const down = row - this.view.top;
    if (across < 0 || down < 0 || across >= this.view.columns || down >= this.view.rows) return;
    const [x, y] = [this.edge(across), this.edge(down)];
    this.context.fillStyle = this.palette.field[this.plain ? 0 : (column + row) % 2];
    this.context.fillRect(x, y, this.edge(across + 1) - x, this.edge(down + 1) - y);
    const char = this.field.charAt(index);
    const color = this.field.colors[index];
    const own = this.palette.snakes[color] ?? this.palette.snakes[0];
    if (char === EMPTY) return;
    if (this.plain) {
      this.context.fillStyle = char === STONE ? this.palette.stone : own;
      this.context.fillRect(x, y, this.cell, this.cell);
    } else {
      this.origin = [x, y];
      this.paintShape(index, char, own, color === 0);
    }
  }

  /* Lengths from here on are shares of the cell that begins at `origin`. */

  paintShape(index, char, color, grey) {
    const { palette } = this;
    if (char >= "0" && char <= "9") {
      this.disc(0.5, 0.5, 0.47, color);
      this.text(char, 0.74, palette.field[0]);
    } else if (char === STONE) {
      this.square(0.02, 0.14, palette.stone);
      this.square(0.2, 0.08, palette.stoneLight);
    } else if (char === HEAD) {
      this.square(0.01, 0.36, color);
      if (index === this.field.ownHead) this.outline(0, 0.34, palette.ring);
      this.paintEyes(this.field.heads.get(index)?.facing ?? [1, 0]);
    } else if (grey && (char === BODY || char === DEAD_TAIL)) {
      this.outline(char === BODY ? 0.1 : 0.22, 0.22, palette.dead);
    } else if (char === BODY) {
      this.square(0.05, 0.26, color, 0.78);
    } else if (char === TAIL) {
      this.disc(0.5, 0.5, 0.32, color, 0.78);
    } else if (grey && char === DEAD_HEAD) {
      this.square(0.03, 0.34, palette.dead);
      this.text("×", 0.9, palette.field[0]);
    } else {
      this.text(char, 0.95, color);
    }
  }

  paintEyes([dx, dy]) {
    for (const side of [-0.2, 0.2]) {
      const x = 0.5 + 0.14 * dx + side * dy;
      const y = 0.5 + 0.14 * dy + side * dx;
      this.disc(x, y, 0.16, this.palette.eye);
      this.disc(x + 0.05 * dx, y + 0.05 * dy, 0.085, this.palette.pupil);
    }
  }

  square(inset, radius, color, alpha = 1) {
    this.path(inset, radius);
    this.fill(color, alpha);
  }

  outline(inset, radius, color) {
    const width = Math.max(1, 0.1 * this.cell);
    this.path(inset + width / 2 / this.cell, radius);
    Object.assign(this.context, { strokeStyle: color, lineWidth: width });
    this.context.stroke();
  }

  path(inset, radius) {
    const gap = Math.max(inset * this.cell, 0.5);
    const [x, y] = this.origin;
    this.context.beginPath();
    this.context.roundRect(x + gap, y + gap, this.cell - 2 * gap, this.cell - 2 * gap, radius * this.cell);
  }

  disc(centreX, centreY, radius, color, alpha = 1) {
    const [x, y] = this.origin;
    this.context.beginPath();
    this.context.arc(x + centreX * this.cell, y + centreY * this.cell, radius * this.cell, 0, 2 * Math.PI);
    this.fill(color, alpha);
  }

  fill(color, alpha) {
    Object.assign(this.context, { fillStyle: color, globalAlpha: alpha });
    this.context.fill();
    this.context.globalAlpha = 1;
  }

  text(char, size, color) {
    const [x, y] = this.origin;
    Object.assign(this.context, { fillStyle: color, textAlign: "center", textBaseline: "alphabetic" });
    this.context.font = `700 ${Math.round(size * this.cell)}px system-ui, sans-serif`;
    this.context.fillText(char, x + this.cell / 2, y + (0.5 + 0.36 * size) * this.cell);
  }
}

/** Draws the last seconds of a TickLog: lateness as a line, interval error as bars, skips as dashed rules. */
class StripPainter {
  static LOWEST_MS = 0.1; // the finest step of a browser's clock, mostly
  static TOPS_MS = [100, 1000, 10000, 100000];
  static LEFT = 34;
  static TOP = 8;
  static BOTTOM = 18;

  constructor(canvas, ticks, clock, palette) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.ticks = ticks;
    this.clock = clock;
    this.palette = palette;
  }

  paint(nowMs) {
    this.measure(nowMs);
    if (this.width <= 0) return;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.paintGrid();
    this.paintPeriod();
    this.context.save();
    this.context.beginPath();
    this.context.rect(StripPainter.LEFT, 0, this.width, this.canvas.height);
    this.context.clip();
    this.paintIntervalErrors();
    this.paintLatenesses();
    this.paintSkips();
    this.context.restore();
    this.paintSilence(this.ticks.silenceMs(nowMs));
  }

  measure(nowMs) {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.nowMs = nowMs;
    this.width = clientWidth - StripPainter.LEFT - 2;
    this.height = clientHeight - StripPainter.TOP - StripPainter.BOTTOM;
    this.right = StripPainter.LEFT + this.width;
    this.bottom = StripPainter.TOP + this.height;
    this.slot = (this.width * (this.ticks.periodMs ?? 50)) / TickLog.WINDOW_MS;
    this.offsetMs = this.clock.best?.offset ?? null;
    this.topMs = this.chooseTop();
  }

  latenessOf(tick) {
    return tick.arrivedMs + this.offsetMs - tick.dueMs;
  }

  chooseTop() {
    const latenesses = this.offsetMs === null ? [] : this.ticks.latenesses(this.offsetMs);
    const greatest = [...this.ticks.intervalErrors(), ...latenesses].reduce((most, size) => Math.max(most, size), 0);
    const { TOPS_MS } = StripPainter;
    return TOPS_MS.find((top) => top >= greatest) ?? TOPS_MS[TOPS_MS.length - 1];
  }

  x(atMs) {
    return StripPainter.LEFT + this.width * (1 - (this.nowMs - atMs) / TickLog.WINDOW_MS);
  }

  y(valueMs) {
    const { LOWEST_MS, TOP } = StripPainter;
    const share = Math.log(clamp(valueMs, LOWEST_MS, this.topMs) / LOWEST_MS) / Math.log(this.topMs / LOWEST_MS);
    return TOP + this.height * (1 - share);
  }

  label(text, x, y, align, color = this.palette.label) {
    Object.assign(this.context, { fillStyle: color, font: "11px system-ui, sans-serif", textAlign: align, textBaseline: "middle" });
    this.context.fillText(text, x, y);
  }

  line(x1, y1, x2, y2, color, dash = []) {
    Object.assign(this.context, { strokeStyle: color, lineWidth: 1 });
    this.context.setLineDash(dash);
    this.context.beginPath();
    this.context.moveTo(x1, y1);
    this.context.lineTo(x2, y2);
    this.context.stroke();
    this.context.setLineDash([]);
  }

  paintGrid() {
    for (let decade = StripPainter.LOWEST_MS; decade < this.topMs * 1.01; decade *= 10) {
      const y = Math.round(this.y(decade)) + 0.5;
      this.line(StripPainter.LEFT, y, this.right, y, this.palette.grid);
      const label = decade < 1000 ? String(Number(decade.toPrecision(1))) : `${Math.round(decade / 1000)} s`;
      this.label(label, StripPainter.LEFT - 6, y, "right");
    }
    for (let seconds = TickLog.WINDOW_MS / 1000; seconds >= 0; seconds -= 5) {
      const x = Math.round(this.x(this.nowMs - 1000 * seconds)) + 0.5;
      this.line(x, this.bottom, x, this.bottom + 4, this.palette.label);
      const align = seconds === 0 ? "right" : seconds === 20 ? "left" : "center";
      this.label(seconds === 0 ? "now" : `−${seconds} s`, x, this.bottom + 11, align);
    }
  }

  paintPeriod() {
    const { periodMs } = this.ticks;
    if (periodMs === null || periodMs > this.topMs) return;
    const y = Math.round(this.y(periodMs)) + 0.5;
    this.line(StripPainter.LEFT, y, this.right, y, this.palette.label, [2, 4]);
    this.label(`one period, ${Number(periodMs.toPrecision(3))} ms`, StripPainter.LEFT + 5, y + 8, "left");
  }

  paintIntervalErrors() {
    const barWidth = clamp(0.7 * this.slot, 1, 6);
    Object.assign(this.context, { fillStyle: this.palette.interval, globalAlpha: 0.8 });
    for (const tick of this.ticks.ticks) {
      if (tick.intervalError === null) continue;
      const height = Math.max(1, this.bottom - this.y(tick.intervalError));
      this.context.fillRect(this.x(tick.arrivedMs) - barWidth / 2, this.bottom - height, barWidth, height);
    }
    this.context.globalAlpha = 1;
  }

  /** Twice: first wider in the color of the ground, so that the line stands off the bars. */
  paintLatenesses() {
    if (this.offsetMs === null) return;
    this.context.beginPath();
    for (const tick of this.ticks.timed()) {
      const [x, y] = [this.x(tick.arrivedMs), this.y(this.latenessOf(tick))];
      if (tick.afterPause) this.context.moveTo(x, y);
      else this.context.lineTo(x, y);
    }
    this.context.lineJoin = "round";
    const width = clamp(this.slot, 1, 1.75);
    for (const [color, lineWidth] of [[this.palette.surface, 2 * width], [this.palette.lateness, width]]) {
      Object.assign(this.context, { strokeStyle: color, lineWidth });
      this.context.stroke();
    }
  }

  paintSkips() {
    for (const tick of this.ticks.ticks) {
      if (tick.skipped === 0) continue;
      const x = this.x(tick.arrivedMs);
      this.line(x, StripPainter.TOP, x, this.bottom, this.palette.skipped, [4, 3]);
      this.label(String(tick.skipped), x - 3, StripPainter.TOP + 5, "right", this.palette.skipped);
    }
  }

  paintSilence(silenceMs) {
    if (silenceMs === 0) return;
    const text = `no tick for ${(silenceMs / 1000).toFixed(1)} s`;
    this.label(text, this.right - 6, StripPainter.TOP + 8, "right", this.palette.skipped);
  }
}

/* ------------------------------------------------------------------ the link */

const CLOSE_WORDS = new Map([
  [1000, "the server ended the connection"],
  [1001, "the server is going away"],
  [1002, "the server saw a protocol error"],
  [1003, "the server does not take such data"],
  [1007, "the server could not read a message"],
  [1008, "the server's policy was broken"],
  [1009, "a message was too large for the server"],
  [1011, "the room crashed"],
  [1012, "the server restarts"],
  [1013, "the server asks to come again later"],
]);
const POLICY = 1008;

function describeClose(event, hadOpened) {
  if (!hadOpened) return "The server refused the connection, or cannot be reached";
  const words = CLOSE_WORDS.get(event.code) ?? "the connection was lost";
  const reason = event.reason && event.reason !== words ? `: ${event.reason}` : "";
  return `Disconnected, ${words} (${event.code}${reason})`;
}

/**
 * One WebSocket at a time, opened again after it was lost.
 *
 * Calls `connecting()`, `opened()`, `received(text, arrivedMs)`, and after a loss either `waiting(why, delayMs)` or, where
 * trying again would be wrong, `refused(why)`.
 */
class Link {
  static FIRST_DELAY_MS = 1000;
  static LONGEST_DELAY_MS = 10000;
  static PROVEN_AFTER_MS = 10000; // a connection that held this long starts the back-off afresh

  constructor(listener) {
    this.listener = listener;
    this.socket = null;
  }

  start(url) {
    this.stop();
    this.url = url;
    this.failures = 0;
    this.connect();
  }

  stop() {
    clearTimeout(this.timer);
    this.socket?.close(1000);
    this.socket = null;
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  connect() {
    clearTimeout(this.timer);
    const socket = new WebSocket(this.url);
    let openedAt = null;
    this.socket = socket;
    this.listener.connecting();
    socket.onopen = () => {
      if (this.socket !== socket) return;
      openedAt = performance.now();
      this.listener.opened();
    };
    socket.onmessage = (event) => {
      const arrivedMs = epochNow();
      if (this.socket === socket) this.listener.received(event.data, arrivedMs);
    };
    socket.onclose = (event) => {
      if (this.socket === socket) this.lost(event, openedAt);
    };
  }

  lost(event, openedAt) {
    this.socket = null;
    const why = describeClose(event, openedAt !== null);
    if (event.code === POLICY) {
      this.listener.refused(why);
      return;
    }
    if (openedAt !== null && performance.now() - openedAt > Link.PROVEN_AFTER_MS) this.failures = 0;
    const delayMs = this.nextDelay();
    this.timer = setTimeout(() => this.connect(), delayMs);
    this.listener.waiting(why, delayMs);
  }

  /** Anything up to a ceiling that grows by half each time: the clients of a server that restarts must not all come back at once. */
  nextDelay() {
    const ceiling = Math.min(Link.LONGEST_DELAY_MS, Link.FIRST_DELAY_MS * 1.5 ** this.failures);
    this.failures += 1;
    return ceiling * Math.random();
  }
}

/* ------------------------------------------------------------------ the game */

/** What the server has told us, as far as it is not in the field: players, scores, which of them is us. */
class Game {
  constructor(field, ticks, clock, listener) {
    this.field = field;
    this.ticks = ticks;
    this.clock = clock;
    this.listener = listener;
    this.forget();
    this.commands = new Map([
      ["handshake", (name, id) => this.handshake(name, id)],
      ["world", (rows) => this.world(rows)],
      ["reset_world", () => this.field.clear()],
      ["render", (x, y, char, color) => this.field.set(x, y, char, color)],
      ["p_joined", (id, name, color, score) => this.joined(id, name, color, score)],
      ["p_score", (id, score) => this.scored(id, score)],
      ["p_gameover", (id) => this.gameOver(id)],
      ["top_scores", (scores) => this.listener.topScores(scores)],
      ["error", (text) => this.listener.error(text)],
      ["announcement", (text) => this.listener.announced(text)],
      ["tick", (n, dueUs) => this.ticked(n, dueUs / 1000)],
      ["pong", (sentAt, serverUs) => this.ponged(sentAt, serverUs / 1000)],
      ["pad", () => {}],
    ]);
  }

  forget() {
    this.id = null;
    this.players = new Map();
    this.field.ownHead = null;
    this.tooEarly = false;
  }

  get me() {
    return this.players.get(this.id) ?? null;
  }

  /** A frame is an array of commands; those that we do not know are for others. */
  receive(frame, arrivedMs) {
    this.arrivedMs = arrivedMs;
    for (const [command, ...values] of frame) this.commands.get(command)?.(...values);
    this.followOwnHead(this.field.settle());
    this.listener.frameDone();
  }

  /** A tick that can't be: one of the two clocks has stepped, or this machine has slept. */
  ticked(n, dueMs) {
    const wasTooEarly = this.tooEarly;
    // Once: a server that sends ticks before they are due is no step.
    if (this.clock.best !== null) this.tooEarly = this.clock.isTooEarly(dueMs, this.arrivedMs);
    if ((this.tooEarly && !wasTooEarly) || this.ticks.goesBack(n, dueMs)) this.listener.clockLost();
    this.ticks.add(n, dueMs, this.arrivedMs);
  }

  ponged(sentAt, serverMs) {
    if (this.clock.add(sentAt, this.arrivedMs, serverMs)) this.ticks.breakClock(this.arrivedMs);
  }

  handshake(name, id) {
    this.forget();
    this.id = id;
    this.listener.welcomed(name);
    this.listener.playersChanged();
  }

  world(rows) {
    this.field.load(rows);
    this.listener.fieldChanged();
  }

  joined(id, name, color, score) {
    this.players.set(id, { id, name, color, score });
    if (id === this.id) this.listener.born();
    this.listener.playersChanged();
  }

  scored(id, score) {
    const player = this.players.get(id);
    if (player === undefined) return;
    player.score = score;
    this.listener.playersChanged();
  }

  gameOver(id) {
    const player = this.players.get(id);
    this.players.delete(id);
    if (id === this.id) {
      this.field.ownHead = null;
      this.listener.died(player?.score ?? 0);
    }
    this.listener.playersChanged();
  }

  /** Our head is the newborn one in our color, then each time the one in our color a step from where it was. */
  followOwnHead(drawn) {
    if (this.me === null) return;
    const { ownHead } = this.field;
    const ours = drawn.filter((head) => head.color === this.me.color);
    const head = ownHead === null
      ? ours.find(({ newborn }) => newborn) ?? ours[0]
      : ours.find(({ index }) => this.field.neighbours(index).some((cell) => cell.index === ownHead));
    if (head !== undefined) this.field.ownHead = head.index;
  }
}

/* ------------------------------------------------------------------ the page */

/** Storage may be forbidden; the name is then typed again. */
function inStorage(action) {
  try {
    return action(localStorage);
  } catch {
    return null;
  }
}

/** As the server will see it: without control characters and surrounding white space. */
const cleanName = (text) => text.replace(/\p{Cc}/gu, "").trim();

function socketUrl(room) {
  const query = room === DEFAULT_ROOM ? "" : `?room=${encodeURIComponent(room)}`;
  const url = new URL(`connect${query}`, location.origin + location.pathname); // beside the page, whatever its path
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** What a comparison calls the server, which it tells in /stats: "gevent:fanout=naive". Null where it does not. */
async function askArm() {
  try {
    const response = await fetch("stats", { signal: AbortSignal.timeout(ARM_TIMEOUT_MS) });
    const stats = await response.json();
    const arm = stats.arm ?? stats.backend;
    return response.ok && typeof arm === "string" && arm !== "" ? arm.slice(0, LONGEST_ARM) : null;
  } catch {
    return null; // /stats is for us to have, not for every server
  }
}

/** So that the address in the address bar leads a friend to the same room. */
function showRoomInAddress(room) {
  const url = new URL(location.href);
  if (room === DEFAULT_ROOM) url.searchParams.delete("room");
  else url.searchParams.set("room", room);
  history.replaceState(null, "", url);
}

function textElement(tag, className, text) {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** One line of a list: the color, the name, "you" where it is, the score. */
function scoreLine({ name, score, color, you }) {
  const line = textElement("li", you ? "you" : "", "");
  line.append(textElement("span", `swatch color-${Number(color)}`, ""), textElement("span", "name", name), " ");
  if (you) line.append(textElement("span", "badge", "you"), " ");
  line.append(textElement("span", "score", score));
  return line;
}

function fillList(id, emptyId, lines) {
  element(id).replaceChildren(...lines.map(scoreLine));
  element(emptyId).hidden = lines.length > 0;
}

class Page {
  static PING_EVERY_MS = 1000;
  static FIRST_PINGS_MS = [0, 100, 200, 300, 400];
  static NUMBERS_EVERY_MS = 250;
  static STRIP_AT_LEAST_EVERY_MS = 100;

  constructor() {
    this.field = new Field();
    this.link = new Link(this);
    const palette = readPalette();
    this.fieldPainter = new FieldPainter(element("field"), element("field-frame"), this.field, palette);
    this.freshMeasurements();
    this.sleepWatch = new SleepWatch();
    this.timers = [];
    this.arm = null;
    this.prepareForm();
    this.listen();
    this.learnArm();
  }

  freshMeasurements() {
    this.ticks = new TickLog();
    this.clock = new ClockEstimate();
    this.game = new Game(this.field, this.ticks, this.clock, this);
    this.stripPainter = new StripPainter(element("strip"), this.ticks, this.clock, this.fieldPainter.palette);
    this.stripPaintedAt = 0;
    this.stripTicks = 0;
    this.numbersShownAt = 0;
  }

  prepareForm() {
    element("name").value = inStorage((storage) => storage.getItem(NAME_KEY)) ?? "";
    element("room").value = new URLSearchParams(location.search).get("room") ?? DEFAULT_ROOM;
    this.showWhere(location.host);
    element("name").focus();
  }

  listen() {
    element("form").addEventListener("submit", (event) => this.submit(event));
    element("name").addEventListener("input", () => element("name").setCustomValidity(""));
    element("join").addEventListener("click", () => this.link.send(["join"]));
    element("retry").addEventListener("click", () => this.link.connect());
    element("disconnect").addEventListener("click", () => this.disconnect());
    document.addEventListener("keydown", (event) => this.keyDown(event));
    this.listenToSwipes(element("field"));
    for (const button of document.querySelectorAll(".pad button")) this.listenToPad(button);
    new ResizeObserver(() => this.frameResized()).observe(element("field-frame"));
    window.addEventListener("resize", () => this.fieldPainter.fit());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.applyPalette());
  }

  /* Form and states */

  submit(event) {
    event.preventDefault();
    const input = element("name");
    const name = cleanName(input.value);
    if (name === "") {
      input.setCustomValidity("Please type a name of 1 to 15 characters.");
      input.reportValidity();
      return;
    }
    this.name = name;
    this.room = element("room").value;
    inStorage((storage) => storage.setItem(NAME_KEY, name));
    showRoomInAddress(this.room);
    this.freshMeasurements();
    this.field.allocate(50, 25);
    this.playersChanged();
    this.topScores([]);
    this.showWhere(`${this.room} on ${location.host}`);
    this.link.start(socketUrl(this.room));
  }

  /** Also in the title: whoever compares two servers has two tabs open. */
  showWhere(where = this.where) {
    this.where = where;
    element("arm").textContent = this.arm ?? "";
    element("arm").hidden = this.arm === null;
    element("where").textContent = where;
    document.title = `${this.arm === null ? "" : `${this.arm} · `}${where} · tickbench`;
  }

  /** After each new connection, too: another server may answer by then. */
  async learnArm() {
    this.arm = await askArm();
    this.showWhere();
  }

  disconnect() {
    this.link.stop();
    this.leave("Disconnected.", "info");
  }

  leave(text, tone) {
    this.stopTimers();
    this.setAlive(false);
    this.setState("form");
    this.say(text, tone);
    this.showWhere(location.host);
    element("connect").focus();
  }

  setState(state) {
    const wasForm = this.onForm;
    document.body.dataset.state = state;
    element("form-screen").hidden = state !== "form";
    element("play-screen").hidden = state === "form";
    element("disconnect").hidden = state === "form";
    element("retry").hidden = state !== "waiting";
    element("countdown").textContent = "";
    this.showJoin();
    if (wasForm && !this.onForm) this.startDrawing();
    if (this.onForm) cancelAnimationFrame(this.frame);
  }

  get onForm() {
    return document.body.dataset.state === "form";
  }

  get alive() {
    return document.body.dataset.alive === "true";
  }

  setAlive(alive) {
    document.body.dataset.alive = String(alive);
    if (!alive) delete document.body.dataset.head;
    this.fieldPainter.playing = alive;
    this.fieldPainter.fit();
    this.showJoin();
  }

  showJoin() {
    const join = element("join");
    const hadFocus = [join, element("field"), document.body].includes(document.activeElement);
    join.hidden = this.alive || document.body.dataset.state !== "playing";
    // Focus goes where the next key is wanted: Enter joins again, and no button is pressed while steering.
    if (hadFocus) (join.hidden ? element("field") : join).focus({ preventScroll: true });
  }

  say(text, tone = "info") {
    element("status").dataset.tone = tone;
    element("status-text").textContent = text;
  }

  /* What the link reports */

  connecting() {
    this.stopTimers();
    this.setState("connecting");
    this.say("Connecting…");
  }

  opened() {
    this.link.send(["new_player", this.name]);
    this.learnArm();
  }

  received(text, arrivedMs) {
    if (this.sleepWatch.hasSlept()) this.clockLost();
    this.game.receive(JSON.parse(text), arrivedMs);
  }

  waiting(why, delayMs) {
    this.stopTimers();
    this.ticks.breakSeries();
    this.forgetClock(); // whoever answers next may be another server
    this.game.forget();
    this.setAlive(false);
    this.setState("waiting");
    this.say(`${why}. Trying again`, "wait");
    this.countDown(performance.now() + delayMs);
  }

  refused(why) {
    const { tone } = element("status").dataset;
    const lastError = tone === "error" ? ` ${element("status-text").textContent}` : "";
    this.leave(`${why}.${lastError}`, "error");
  }

  countDown(until) {
    const show = () => {
      const seconds = Math.max(0, until - performance.now()) / 1000;
      element("countdown").textContent = `in ${seconds.toFixed(1)} s`;
    };
    show();
    this.timers.push(setInterval(show, 100));
  }

  stopTimers() {
    this.timers.forEach((timer) => clearTimeout(timer));
    this.timers = [];
  }

  /** Close together at first, to have an estimate of the clock soon. */
  startPings() {
    const ping = () => this.link.send(["ping", epochNow()]);
    this.timers.push(...Page.FIRST_PINGS_MS.map((delay) => setTimeout(ping, delay)), setInterval(ping, Page.PING_EVERY_MS));
  }

  forgetClock() {
    this.clock.forget(epochNow());
    this.ticks.breakClock(epochNow());
  }

  /* What the game reports */

  /** What was known of the server's clock is wrong: it is asked anew, at once. */
  clockLost() {
    this.forgetClock();
    if (this.game.id === null) return; // nothing may be asked before the welcome
    this.stopTimers();
    this.startPings();
  }

  welcomed(name) {
    this.setAlive(false);
    this.setState("playing");
    this.say(`Welcome, ${name}. You are watching; join to play.`);
    this.startPings();
  }

  fieldChanged() {
    const { columns, rows } = this.field;
    element("field").setAttribute("aria-label", `Field of ${columns} by ${rows} cells. Steer with the arrow keys or WASD.`);
    this.fieldPainter.fit();
  }

  born() {
    this.setAlive(true);
    this.say("Safe for a moment. Steer with arrow keys, WASD or a swipe.", "good");
  }

  died(score) {
    this.setAlive(false);
    this.say(`Game over with ${score} ${score === 1 ? "point" : "points"}. Join again when you like.`);
  }

  /** Before the welcome an error means that we will not get in: there is nothing to wait for. */
  error(text) {
    if (this.game.id === null) {
      this.link.stop();
      this.leave(`The server says: ${text}`, "error");
    } else {
      this.say(`The server says: ${text}`, "error");
    }
  }

  announced(text) {
    this.say(`Announcement: ${text}`, "good");
  }

  playersChanged() {
    const players = [...this.game.players.values()].sort((one, other) => other.score - one.score || one.id - other.id);
    fillList("players", "players-empty", players.map((player) => ({ ...player, you: player.id === this.game.id })));
  }

  topScores(scores) {
    fillList("top-scores", "top-empty", scores.map(([name, score, color]) => ({ name, score, color, you: false })));
  }

  frameDone() {
    const { ownHead } = this.field;
    if (ownHead !== null) document.body.dataset.head = this.field.position(ownHead).join(",");
  }

  /* Input */

  turn(keyCode) {
    if (this.alive) this.link.send(keyCode);
  }

  keyDown(event) {
    const keyCode = KEY_CODES.get(event.code) ?? KEY_CODES.get(event.key);
    const typing = event.target instanceof HTMLInputElement;
    if (keyCode === undefined || typing || this.onForm || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (!event.repeat) this.turn(keyCode);
  }

  /** A finger that goes on in another direction turns again, without being lifted. */
  listenToSwipes(canvas) {
    const NEEDED = 20; // CSS pixels
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      from = [event.clientX, event.clientY];
    });
    canvas.addEventListener("pointermove", (event) => {
      if (from === null || event.buttons === 0) return;
      const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
      if (Math.max(Math.abs(dx), Math.abs(dy)) < NEEDED) return;
      from = [event.clientX, event.clientY];
      if (Math.abs(dx) > Math.abs(dy)) this.turn(dx < 0 ? 37 : 39);
      else this.turn(dy < 0 ? 38 : 40);
    });
  }

  listenToPad(button) {
    const turn = () => this.turn(Number(button.dataset.key));
    button.addEventListener("pointerdown", turn);
    button.addEventListener("click", (event) => {
      if (event.detail === 0) turn(); // by keyboard or assistive technology: no pointer went down
    });
  }

  /* Drawing, at most once an animation frame */

  /** Sizes are observed after the animation frame: without painting here an empty canvas would flash. */
  frameResized() {
    this.fieldPainter.fit();
    this.fieldPainter.paint();
  }

  startDrawing() {
    this.fieldPainter.fit();
    this.frame = requestAnimationFrame(() => this.animate());
  }

  animate() {
    const nowMs = epochNow();
    this.fieldPainter.paint();
    this.paintStrip(nowMs);
    this.frame = requestAnimationFrame(() => this.animate());
  }

  paintStrip(nowMs) {
    const fresh = this.ticks.received !== this.stripTicks;
    if (!fresh && nowMs - this.stripPaintedAt < Page.STRIP_AT_LEAST_EVERY_MS) return;
    this.stripTicks = this.ticks.received;
    this.stripPaintedAt = nowMs;
    this.ticks.forget(nowMs - TickLog.WINDOW_MS);
    this.stripPainter.paint(nowMs);
    element("ticks").textContent = this.ticks.received;
    if (nowMs - this.numbersShownAt > Page.NUMBERS_EVERY_MS) this.showNumbers(nowMs);
  }

  showNumbers(nowMs) {
    this.numbersShownAt = nowMs;
    const { best } = this.clock;
    const rate = this.ticks.perSecond(nowMs);
    this.showSummary("lateness-row", best === null ? null : summarize(this.ticks.latenesses(best.offset)));
    this.showSummary("interval-row", summarize(this.ticks.intervalErrors()));
    element("rate").textContent = rate === null ? "–" : rate.toFixed(1);
    element("skipped").textContent = this.ticks.skipped();
    element("rtt").textContent = best === null ? "–" : `${formatMs(best.roundTrip)} ms`;
    element("uncertainty").textContent = best === null ? "–" : `±${formatMs(best.halfWidth)} ms`;
  }

  showSummary(rowId, summary) {
    element(rowId).querySelectorAll("td").forEach((cell, column) => {
      cell.textContent = summary === null ? "–" : formatMs(summary[column]);
    });
  }

  applyPalette() {
    const palette = readPalette();
    this.fieldPainter.palette = palette;
    this.stripPainter.palette = palette;
    this.field.allDirty = true;
  }
}

/**
 * What the strip is drawn from, for the browser's console and for scripts: each tick of the last 20 s, with its arrival by
 * this browser's clock, and how far the server's is from that (null: not known yet). All in ms.
 */
function expose(page) {
  const clock = () => {
    const { best } = page.clock;
    return best && {
      offsetMs: best.offset, halfWidthMs: best.halfWidth,
      roundTripMs: best.roundTrip, usualRoundTripMs: page.clock.usualRoundTrip(),
    };
  };
  const lateness = ({ dueMs, arrivedMs }) => {
    const { best } = page.clock;
    return best === null || arrivedMs < page.ticks.clockFrom ? null : arrivedMs + best.offset - dueMs;
  };
  const ticks = () => page.ticks.ticks.map((tick) => (
    { n: tick.n, dueMs: tick.dueMs, arrivedMs: tick.arrivedMs, latenessMs: lateness(tick) }
  ));
  window.tickbench = Object.freeze({ clock, ticks });
}

expose(new Page());
