"use strict";
// The page of a sweep: asks for what is new every few seconds, shows it, and sends what its buttons ask for.

const SECONDS = { RUNNING: 2, other: 5 };
const MOST_LISTED = 30, MOST_SHOWN = 8, MOST_FAILURES = 5, MOST_BEST = 5;
const ORDER = ["running", "stopping", "failed", "damaged", "killed", "stopped", "skipped", "waiting", "scheduled",
  "finished", "pruned"];
const DONE = ["finished", "pruned"], IN_VAIN = ["failed", "damaged"];
const byId = id => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
const trials = new Map(), points = new Map(), logs = new Map(), open = new Set(), chosen = new Map();
let version = "", sweep = null, configurations = [], comparison = null, filter = "all", listed = MOST_LISTED, timer = 0;
let few = new Set(), repeated = new Set();
const charts = ["metric-chart", "loss-chart"].map(id => new Chart(byId(id), showCurves));

// --- what is new ------------------------------------------------------------------------------------------------

async function ask() {
  clearTimeout(timer);
  try {
    const answer = await fetch(`sweep?since=${encodeURIComponent(version)}`);
    if (!answer.ok) throw new Error((await answer.json()).error);
    take(await answer.json());
    byId("footer").textContent = `Seen at ${new Date().toLocaleTimeString()}.`;
  } catch (error) {
    byId("footer").textContent = `The server does not answer (${error.message}); this is what was known before.`;
  }
  if (!document.hidden) timer = setTimeout(ask, 1000 * (SECONDS[sweep?.status] ?? SECONDS.other));
}

function take(answer) {
  if (answer.whole) [trials, points].forEach(known => known.clear());
  ({ version, sweep, configurations, comparison } = answer);
  answer.trials.forEach(trial => trials.set(trial.id, trial));
  const planned = new Set(sweep.trials);
  [...trials.keys()].filter(id => !planned.has(id)).forEach(id => trials.delete(id));
  for (const [run, curves] of Object.entries(answer.points)) {
    const known = points.get(run) ?? points.set(run, {}).get(run);
    for (const [name, [steps, values]] of Object.entries(curves)) {
      known[name] ??= { steps: [], values: [] };
      known[name].steps.push(...steps);
      known[name].values.push(...values);
    }
  }
  showHeader(answer.machine);
  showSteering();
  showCurves();
  showComparison();
  showFailures();
  showTrials();
}

const all = () => sweep.trials.map(id => trials.get(id)).filter(Boolean);
const inState = (...states) => all().filter(trial => states.includes(trial.state));
const counted = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
const span = seconds => seconds < 100 ? `${Math.round(seconds)} s` : seconds < 6000 ? `${Math.round(seconds / 60)} min`
  : `${(seconds / 3600).toFixed(1)} h`;
const written = value => value === null || value === undefined ? "–"
  : sweep.is_share ? (100 * value).toFixed(2) : value.toPrecision(4);

function element(tag, properties = {}, ...children) {
  const { data, ...others } = properties, made = Object.assign(document.createElement(tag), others);
  Object.assign(made.dataset, data);
  made.append(...children);
  return made;
}

function bar(share, className = "bar") {
  const made = element("div", { className }, element("i"));
  made.firstChild.style.width = `${100 * share}%`;
  return made;
}

function swatch(place) {
  const made = element("i", { className: "swatch", ariaHidden: "true" });
  made.style.setProperty("--color", shade(colorOf(place)));
  return made;
}

const colorOf = place => configurations[place].color ?? PALETTE[place % PALETTE.length];

// --- the sweep --------------------------------------------------------------------------------------------------

function showHeader(machine) {
  const { done, total, words } = progress();
  document.title = `${done}/${total} ${sweep.status.toLowerCase()}`;
  byId("name").textContent = sweep.name;
  byId("status").textContent = sweep.status.toLowerCase();
  byId("status").className = `pill ${sweep.status.toLowerCase()}`;
  byId("progress").ariaValueNow = done, byId("progress").ariaValueMax = total;
  byId("progress").firstElementChild.style.width = `${total ? 100 * done / total : 0}%`;
  byId("counts").textContent = words;
  byId("left").textContent = sweep.status === "RUNNING" && sweep.left ? `about ${span(sweep.left)} left${sweep.search
    ? " at the pace of the proposals so far" : ""}` : "";
  byId("remark").textContent = sweep.status === "RUNNING"
    ? (sweep.stop ? `No more trials start (${sweep.stop}); those that run go on to their ends.` : "")
    : sweep.stopped ? `Ended early (${sweep.stopped}); the same command goes on with the rest.` : "";
  const parts = [meter(`${machine.host}: processors`, machine.busy / 100,
    `${machine.busy.toFixed(0)} % of ${machine.cores}, load ${machine.load.toFixed(1)}`),
    meter("memory", ...inUse(machine.memory))];
  machine.gpus.forEach(gpu => parts.push(meter(gpu.name, gpu.busy / 100, `${gpu.busy} %`),
    meter("its memory", ...inUse(gpu.memory))));
  byId("machine").replaceChildren(...parts);
}

// Of a search that counts them the proposals are what is to be done; how many trials these need shows as they end.
function progress() {
  const counts = ORDER.map(state => [inState(state).length, state]).filter(([count]) => count);
  const total = sweep.trials.length, trials = `${counted(total, "trial")}: ${counts.map(pair => pair.join(" ")).join(", ")}`;
  const { tried, proposals } = sweep.search ?? { tried: null };
  return tried === null ? { done: inState(...DONE).length, total, words: trials }
    : { done: tried, total: proposals, words: `${tried} of ${counted(proposals, "proposal")} tried; ${trials}` };
}

const inUse = ({ used, total }) => [used / total, `${(used / 2 ** 30).toFixed(1)} of ${(total / 2 ** 30).toFixed(1)} GiB`];

function meter(label, share, words) {
  const made = element("span", { className: "meter" }, element("i"));
  made.firstChild.style.width = `${Math.min(100, 100 * share)}%`;
  return element("span", {}, label, made, words);
}

// --- steering ---------------------------------------------------------------------------------------------------

function showSteering() {
  const isUnderWay = ["RUNNING", "SCHEDULED"].includes(sweep.status), seeds = sweep.seeds;
  const hasWords = seeds.words || byId("message").textContent;
  byId("steering").hidden = !token || !sweep.can_write || !(isUnderWay || seeds.can_add || hasWords);
  byId("stop-sweep").hidden = !isUnderWay;
  byId("stop-sweep").disabled = Boolean(sweep.stop);
  byId("seeds").hidden = !seeds.can_add;
  byId("seeds-words").textContent = seeds.words;
}

async function act(action) {
  const message = byId("message");
  message.textContent = "…", message.className = "";
  try {
    const answer = await fetch("actions", { method: "POST", body: JSON.stringify(action),
      headers: { "content-type": "application/json", "x-watch-token": token } });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    message.textContent = said.done;
  } catch (error) {
    message.textContent = error.message, message.className = "bad";
  }
  await ask();
}

// --- curves -----------------------------------------------------------------------------------------------------

// The configurations whose curves are drawn: those the user chose, else of many a few.
const isShown = place => chosen.get(place) ?? (configurations.length <= MOST_SHOWN || few.has(place));

// Of a search the best, of a sweep those that are compared, else the first.
function chooseFew() {
  const labels = new Set((comparison?.blocks ?? []).flatMap(block => block.pairs).flatMap(pair => [pair.better, pair.worse]));
  const places = [...configurations.keys()], compared = places.filter(place => labels.has(configurations[place].label));
  const best = sweep.search ? ranked().map(one => one.place) : compared;
  few = new Set((best.length ? best : places).slice(0, MOST_SHOWN));
}

function showCurves() {
  chooseFew();
  charts[0].choose([`val/${sweep.metric}`]);
  charts[1].choose(["val/loss", "train/loss"]);
  for (const chart of charts) {
    const groups = configurations.map((one, place) => ({
      label: one.label, color: colorOf(place), dash: DASHES[(one.color ? one.line : Math.floor(place / PALETTE.length)) % DASHES.length],
      curves: isShown(place) ? all().filter(trial => trial.configuration === place)
        .map(trial => points.get(trial.run)?.[chart.metric]).filter(curve => curve?.steps.length) : [],
    }));
    const isShare = chart === charts[0] && sweep.is_share;
    chart.draw(groups, isShare ? 100 : 1, isShare ? "%" : "");
  }
  showConfigurations();
}

function showConfigurations() {
  const many = configurations.length > MOST_SHOWN;
  byId("shown").textContent = many ? "A button shows or hides its curves." : "";
  const rows = configurations.map((one, place) => {
    const own = all().filter(trial => trial.configuration === place), done = own.filter(it => DONE.includes(it.state));
    const tests = done.map(trial => trial.test).filter(value => value !== null && value !== undefined);
    const mean = tests.length ? written(tests.reduce((sum, value) => sum + value, 0) / tests.length) : "–";
    const words = `${done.length} of ${counted(own.length, "seed")}, test ${mean}`;
    const button = element("button", { type: "button", ariaPressed: isShown(place) },
      swatch(place), element("span", { textContent: one.label }), element("span", { className: "quiet", textContent: words }));
    button.addEventListener("click", () => { chosen.set(place, !isShown(place)); showCurves(); });
    return button;
  });
  replaceKeepingFocus(byId("configurations"), rows);
}

// New children in the place of the old; the one in the focused one's place is focused.
function replaceKeepingFocus(parent, children) {
  const at = [...parent.children].indexOf(document.activeElement);
  parent.replaceChildren(...children);
  if (at >= 0) children[at]?.focus();
}

// --- the comparison ---------------------------------------------------------------------------------------------

function showComparison() {
  const isRunning = sweep.status === "RUNNING";
  if (sweep.search) {
    showBest(isRunning);
    return;
  }
  byId("comparison-title").textContent = isRunning ? "The comparison as it stands" : "Verdict";
  byId("how").textContent = comparison ? comparison.how : "";
  const blocks = comparison?.blocks ?? [];
  const parts = blocks.flatMap(block => [
    ...(block.name ? [element("h2", { textContent: `On ${block.name}` })] : []),
    ...block.pairs.map(pair => comparedPair(pair, block)),
    ...(block.pairs.length ? [] : [element("p", { textContent: nothing(block, isRunning) })]),
    ...(block.next_look ? [element("p", { className: "quiet", textContent: `The next look is at ${block.next_look} seeds.` })] : []),
  ]);
  byId("comparison").replaceChildren(...(parts.length ? parts : [element("p", { textContent: "No trial is finished yet." })]));
}

// A search chooses, from proposals of mostly one seed, what a sweep is to compare.
function showBest(isRunning) {
  byId("comparison-title").textContent = `The best by validation${isRunning ? " so far" : ""}`;
  byId("how").textContent = "A search chooses by validation data; to compare what it chose takes a sweep with fresh seeds.";
  const rows = ranked().slice(0, MOST_BEST).map(({ label, value, seeds, isFull }) => element("div", { className: "line best" },
    element("span", { textContent: label }),
    element("span", { className: "quiet", textContent: `val ${written(value)}, ${isFull ? "" : "not trained in full, "}${counted(seeds, "seed")}` })));
  byId("comparison").replaceChildren(...(rows.length ? rows : [element("p", { textContent: "No trial is finished yet." })]));
}

// The proposals of a search by their mean on validation data, those that were trained in full before the others.
function ranked() {
  const proposals = configurations.map(({ label }, place) => ({ label, place, trials: [] })), sign = sweep.higher_is_better ? 1 : -1;
  inState(...DONE).filter(trial => trial.value != null).forEach(trial => proposals[trial.configuration].trials.push(trial));
  return proposals.filter(({ trials }) => trials.length).map(({ trials, ...one }) => ({ ...one, seeds: trials.length,
    value: trials.reduce((sum, trial) => sum + trial.value, 0) / trials.length,
    isFull: trials.filter(trial => trial.state === "finished").length >= sweep.search.seeds,
  })).sort((a, b) => b.isFull - a.isFull || sign * (b.value - a.value));
}

const nothing = (block, isRunning) => block.configurations < 2 ? "There is one configuration so far: nothing to compare it with."
  : isRunning ? `${counted(block.seeds, "seed")} of each so far; two are needed to compare.`
  : "There are no two configurations of two seeds or more.";

function comparedPair(pair, block) {
  const made = element("div", { className: `compared ${pair.kind}`, data: { testid: "pair" } },
    element("strong", { textContent: pair.sentence }));
  if (pair.half === null) return made;
  const widest = Math.max(...block.pairs.map(it => (it.difference ?? 0) + (it.half ?? 0)));
  made.append(interval(pair, widest));
  if (pair.kind === "open") {
    const words = `${Math.floor(100 * pair.way)} % of the way to being decided`;
    made.append(bar(pair.way), element("div", { className: "quiet", textContent: words }));
  }
  return made;
}

// The difference with its interval, and 0.
function interval({ difference, half }, widest) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const place = value => 50 + 48 * value / widest;
  const add = (name, attributes) => {
    const shape = document.createElementNS(svg.namespaceURI, name);
    Object.entries(attributes).forEach(([key, value]) => shape.setAttribute(key, value));
    svg.append(shape);
  };
  svg.classList.add("interval");
  svg.setAttribute("aria-hidden", "true");
  add("line", { x1: "50%", x2: "50%", y1: 0, y2: 26, class: "zero" });
  add("line", { x1: `${place(difference - half)}%`, x2: `${place(difference + half)}%`, y1: 13, y2: 13 });
  add("circle", { cx: `${place(difference)}%`, cy: 13, r: 4 });
  return svg;
}

// --- trials -----------------------------------------------------------------------------------------------------

function showFailures() {
  const failed = inState(...IN_VAIN);
  byId("failures-card").hidden = !failed.length;
  byId("failures").replaceChildren(...failed.slice(0, MOST_FAILURES).map(trial => {
    if (trial.run) fetchLog(trial);
    return element("div", { className: "failure" }, element("strong", { textContent: trial.name }), ` ${trial.reason}`,
      ...logOf(trial, 8));
  }), ...(failed.length > MOST_FAILURES ? [element("p", { textContent: `and ${failed.length - MOST_FAILURES} more` })] : []));
}

async function fetchLog(trial, again = false) {
  const key = trial.run;
  if (logs.has(key) && !again) return;
  logs.set(key, logs.get(key) ?? []);
  const answer = await fetch(`log?trial=${trial.id}`), said = await answer.json();
  logs.set(key, answer.ok ? said.lines : [said.error]);
  showFailures();
  showTrials();
}

const logOf = (trial, most) => (logs.get(trial.run) ?? []).length
  ? [element("pre", { tabIndex: 0, textContent: logs.get(trial.run).slice(-most).join("\n") })] : [];

function showTrials() {
  const counts = ORDER.map(state => [state, inState(state).length]).filter(([, count]) => count);
  if (filter !== "all" && !counts.some(([state]) => state === filter)) filter = "all";
  replaceKeepingFocus(byId("filters"), [["all", sweep.trials.length], ...counts].map(([state, count]) => {
    const button = element("button", { type: "button", textContent: `${state} ${count}`, ariaPressed: filter === state });
    button.addEventListener("click", () => { filter = state; listed = MOST_LISTED; showTrials(); });
    return button;
  }));
  const wanted = all().filter(trial => filter === "all" || trial.state === filter)
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
  const seen = new Set();
  repeated = new Set(all().map(trial => trial.name).filter(name => seen.size === seen.add(name).size));
  const list = byId("trials"), known = new Map([...list.children].map(row => [row.dataset.trial, row]));
  const rows = wanted.slice(0, listed).map(trial => {
    const made = JSON.stringify([trial, open.has(trial.id), logs.get(trial.run), token !== "", colorOf(trial.configuration), repeated.has(trial.name)]);
    const row = known.get(trial.id);
    if (row?.made === made) return row;
    return Object.assign(trialRow(trial), { made });
  });
  placeRows(list, rows);
  const more = wanted.length - rows.length;
  byId("more").hidden = more <= 0;
  byId("more").textContent = `Show ${Math.min(more, 200)} of ${more} more`;
}

// The rows in their order, without touching those that stay where they are; the focus stays with its trial.
function placeRows(list, rows) {
  const focused = document.activeElement, of = focused?.closest?.(".trial"), kind = focused?.className;
  rows.forEach((row, place) => {
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
  while (list.children.length > rows.length) list.lastElementChild.remove();
  if (of && !focused.isConnected) {
    const row = rows.find(it => it.dataset.trial === of.dataset.trial);
    (row?.getElementsByClassName(kind)[0] ?? row?.querySelector(".name"))?.focus();
  }
}

function trialRow(trial) {
  const isOpen = open.has(trial.id), total = trial.steps, step = trial.step ?? 0;
  const name = element("button", { className: "name", type: "button", ariaExpanded: isOpen }, swatch(trial.configuration),
    element("span", {}, trial.name, ...(repeated.has(trial.name) ? [element("span", { className: "what", textContent: labelOf(trial) })] : [])));
  name.addEventListener("click", () => {
    if (isOpen) open.delete(trial.id); else open.add(trial.id);
    if (!isOpen && trial.run) fetchLog(trial, true);
    showTrials();
  });
  const share = trial.state === "finished" ? 1 : total ? Math.min(1, step / total) : 0;
  const steps = step ? `step ${step.toLocaleString("en")}${total ? ` of ${total.toLocaleString("en")}` : ""}` : "";
  const time = trial.state === "running" && trial.left != null ? `about ${span(trial.left)} left`
    : trial.seconds ? span(trial.seconds) : "";
  const row = element("div", { className: "trial", data: { trial: trial.id, testid: "trial" } }, name,
    element("span", { className: `pill state ${trial.state}`, textContent: trial.state }),
    element("div", { className: "progress" }, bar(share, DONE.includes(trial.state) ? "bar done" : "bar"),
      element("span", { className: "what", textContent: [steps, time].filter(Boolean).join(", ") })),
    value("val", trial.value), value("test", trial.test));
  const button = actionOf(trial);
  if (button) row.append(button);
  if (isOpen) row.append(element("div", { className: "details" },
    ...[labelOf(trial), `seed ${trial.seed}`, trial.run ? `run ${trial.run}` : "no run yet", trial.reason]
      .filter(Boolean).map(words => element("div", { textContent: words })), ...logOf(trial, 30)));
  return row;
}

const labelOf = trial => configurations[trial.configuration].label;
const value = (name, number) => element("span", { className: `value ${name}${number == null ? " none" : ""}` }, element("small", { textContent: name }), written(number));

function actionOf(trial) {
  if (!token || !sweep.can_write) return null;
  const kinds = { running: ["Stop", "stop"], waiting: ["Skip", "skip"] };
  if (!(trial.state in kinds)) return null;
  const [label, kind] = kinds[trial.state];
  const button = element("button", { className: "act", type: "button", textContent: label,
    ariaLabel: `${label} ${trial.name}${repeated.has(trial.name) ? ` ${labelOf(trial)}` : ""}` });
  button.addEventListener("click", async () => {
    button.closest(".trial").querySelector(".name").focus();  // a disabled button would lose the focus for the whole page
    button.disabled = true;
    await act({ do: kind, trial: trial.id });
    button.disabled = false;
  });
  return button;
}

byId("stop-sweep").addEventListener("click", () => act({ do: "stop-sweep" }));
byId("seeds").addEventListener("submit", event => {
  event.preventDefault();
  act({ do: "add-seeds", most: Number(byId("most").value) });
});
byId("more").addEventListener("click", () => { listed += 200; showTrials(); });
document.addEventListener("visibilitychange", () => document.hidden || ask());
isDark.addEventListener("change", () => sweep && [showCurves, showTrials].forEach(show => show()));
ask();
