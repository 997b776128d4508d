"use strict";
// Curves of several seeds on one axis: mean and band, drawn by uPlot.

const MOST_GRID = 300;
const PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8c8c00", "#6b4fb3"];
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
const isDark = matchMedia("(prefers-color-scheme: dark)");

// A colour as it is on light ground, lighter on dark; with an opacity.
function shade(color, opacity = 1) {
  const parts = [1, 3, 5].map(at => parseInt(color.slice(at, at + 2), 16));
  const seen = parts.map(part => isDark.matches ? Math.round(part + (255 - part) * 0.4) : part);
  return `rgba(${seen}, ${opacity})`;
}

// The value of a curve at a step between its first and its last; null beyond.
function valueAt(curve, step) {
  const { steps, values } = curve, last = steps.length - 1;
  if (last < 0 || step < steps[0] || step > steps[last]) return null;
  let low = 0, high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (steps[middle] <= step) low = middle; else high = middle;
  }
  if (steps[high] === step || high === low) return values[high];
  return values[low] + (values[high] - values[low]) * (step - steps[low]) / (steps[high] - steps[low]);
}

// The steps at which any of the curves has a point, thinned where they are many.
function gridOf(curves) {
  const grid = [...new Set(curves.flatMap(curve => curve.steps))].sort((a, b) => a - b);
  const stride = Math.ceil(grid.length / MOST_GRID);
  return stride > 1 ? grid.filter((_, place) => place % stride === 0 || place === grid.length - 1) : grid;
}

// Mean, lowest, highest and number of the curves that have a value at each step of a grid.
function bandOf(curves, grid) {
  const band = { mean: [], low: [], high: [], count: [] };
  for (const step of grid) {
    const values = curves.map(curve => valueAt(curve, step)).filter(value => value !== null);
    const has = values.length > 0;
    band.mean.push(has ? values.reduce((sum, value) => sum + value, 0) / values.length : null);
    band.low.push(has ? Math.min(...values) : null);
    band.high.push(has ? Math.max(...values) : null);
    band.count.push(values.length);
  }
  return band;
}

// A little more than a range, and a range for a single value.
function padded(low, high) {
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return [low - room, high + room];
}

class Chart {
  // `choices` are the metrics to choose among, as [name, isShare].
  constructor(section, onChange) {
    this.section = section, this.onChange = onChange, this.isLog = false, this.metric = "", this.plot = null;
    this.section.innerHTML = `<div class="line"><h2></h2><div class="filters"></div></div>
      <div class="plot" tabindex="0" role="group"></div><div class="readout" aria-live="off"></div>`;
    this.area = section.querySelector(".plot"), this.readout = section.querySelector(".readout");
    this.area.addEventListener("keydown", event => this.#walk(event));
    new ResizeObserver(() => this.plot && this.plot.setSize(this.#size())).observe(this.area);
  }

  choose(choices) {
    if (String(choices) === this.choices) return;
    this.choices = String(choices);
    this.metric = choices.includes(this.metric) ? this.metric : choices[0];
    const buttons = [...(choices.length > 1 ? choices : []).map(name => [name, () => this.metric = name,
      () => this.metric === name]), ["log", () => this.isLog = !this.isLog, () => this.isLog]];
    this.section.querySelector(".filters").replaceChildren(...buttons.map(([name, act, isOn]) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
      button.ariaPressed = isOn();
      button.addEventListener("click", () => {
        act();
        this.section.querySelectorAll(".filters button").forEach((it, n) => it.ariaPressed = buttons[n][2]());
        this.destroy();
        this.onChange();
      });
      return button;
    }));
  }

  // Draw groups of curves: {label, color, dash, curves}; values are multiplied by `scale` and followed by `unit`.
  draw(groups, scale, unit) {
    const shown = groups.filter(group => group.curves.length), grid = gridOf(shown.flatMap(group => group.curves));
    const bands = shown.map(group => bandOf(group.curves, grid));
    const scaled = values => values.map(value => value === null || (this.isLog && value <= 0) ? null : value * scale);
    const data = [grid, ...bands.flatMap(band => [scaled(band.mean), scaled(band.low), scaled(band.high)])];
    this.shown = shown, this.bands = bands, this.grid = grid, this.scale = scale, this.unit = unit;
    this.section.querySelector("h2").textContent = `${this.metric}${unit ? ` (${unit})` : ""} by step`;
    this.area.ariaLabel = `${this.metric} over optimiser steps; left and right move along the curves`;
    const made = JSON.stringify([shown.map(group => [group.label, group.color, group.dash]), this.isLog, isDark.matches]);
    if (!grid.length) this.destroy("No points yet.");
    else if (!this.plot || this.made !== made) {
      this.destroy();
      this.made = made;
      this.plot = new uPlot(this.#options(shown), data, this.area);
    } else if (this.drawn !== JSON.stringify(data)) this.plot.setData(data);
    this.drawn = JSON.stringify(data);
    this.#tell(this.plot?.cursor.idx);
  }

  destroy(words = "") {
    if (this.plot) this.plot.destroy();
    this.plot = null;
    this.area.textContent = words;
  }

  #size() {
    return { width: Math.max(this.area.clientWidth, 200), height: innerWidth < 820 ? 230 : 280 };
  }

  #options(shown) {
    const ink = getComputedStyle(document.body).getPropertyValue("--quiet"), font = "12px system-ui, sans-serif";
    const line = getComputedStyle(document.body).getPropertyValue("--line");
    const axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const short = value => Math.abs(value) >= 10000 ? `${value / 1000}k` : `${value}`;
    const plain = { points: { show: false }, spanGaps: true };
    return {
      ...this.#size(), legend: { show: false },
      cursor: { sync: { key: "steps", scales: ["x", null] }, y: false, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: false }, y: this.isLog ? { distr: 3 } : { range: (_, low, high) => padded(low, high) } },
      axes: [{ ...axis, values: (_, ticks) => ticks.map(short) }, { ...axis, size: 54 }],
      series: [{}, ...shown.flatMap(({ color, dash }) => [
        { ...plain, stroke: shade(color), width: 2, dash, points: { show: this.grid.length < 12, size: 5 } },
        { ...plain, width: 0 }, { ...plain, width: 0 },
      ])],
      bands: shown.map(({ color }, n) => ({ series: [3 * n + 3, 3 * n + 2], fill: shade(color, 0.16) })),
      hooks: { setCursor: [plot => this.#tell(plot.cursor.idx)] },
    };
  }

  // The values at a place of the grid; of the last that each has where there is none.
  #tell(place) {
    this.readout.replaceChildren(...this.shown.map(({ label, color }, n) => {
      const { mean, low, high, count } = this.bands[n];
      const at = place ?? mean.findLastIndex(value => value !== null), written = value => this.#written(value);
      const values = mean[at] === null || at < 0 ? "–" : `${written(mean[at])}${count[at] > 1
        ? ` (${written(low[at])} to ${written(high[at])}, ${count[at]} seeds)` : ""} at ${this.grid[at].toLocaleString("en")}`;
      const row = document.createElement("div"), parts = { i: "", span: label, b: values };
      row.append(...Object.entries(parts).map(([tag, textContent]) => Object.assign(document.createElement(tag), { textContent })));
      row.firstChild.className = "swatch";
      row.firstChild.style.setProperty("--color", shade(color));
      return row;
    }));
  }

  #written(value) {
    return this.unit === "%" ? (value * this.scale).toFixed(2) : (value * this.scale).toPrecision(4);
  }

  #walk(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move || !this.plot) return;
    event.preventDefault();
    const place = Math.min(Math.max((this.plot.cursor.idx ?? 0) + move, 0), this.grid.length - 1);
    this.plot.setCursor({ left: this.plot.valToPos(this.grid[place], "x"), top: 10 });
  }
}
