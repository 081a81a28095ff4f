// Keeps the live page up to date from /api/v1/stream (format: stream.rs).
// The server made every text, in the language of the page; here it only finds
// its place: data-t takes a text, data-c a status, data-p the points of a line,
// data-rows table rows. The words of tiles stand at <main>.
// Tiles are drawn as view.rs draws them.

const STALE_MS = 5000;
const COLUMNS = new Set(["dev", "mv", "temp", "duty", "mark", "wrong", "age"]);
const BAR_MV = 100;

const places = new Map();
for (const [kind, attribute] of [["t", "data-t"], ["c", "data-c"], ["p", "data-p"], ["rows", "data-rows"]]) {
  for (const element of document.querySelectorAll(`[${attribute}]`)) {
    const path = element.getAttribute(attribute);
    places.set(path, [...(places.get(path) ?? []), [kind, element]]);
  }
}
const boards = [...document.querySelectorAll("[data-string]")].map((s) => [...s.querySelectorAll(".board li")]);
const upses = document.querySelectorAll("[data-ups]").length;
const offline = document.getElementById("offline");
const said = document.querySelector("main").dataset;

let view = null;
let source = null;
let heard = Date.now();
let attempt = 0;
let retry = 0;

// Merge a change into `old`; returns what takes its place.
function merge(old, change) {
  if (change === null || typeof change !== "object") return change;
  if (Array.isArray(change)) return change;
  if (Array.isArray(old) && Array.isArray(change.i)) {
    change.i.forEach((at, n) => { old[at] = change.v[n]; });
    return old;
  }
  const target = old ?? {};
  for (const [key, value] of Object.entries(change)) target[key] = merge(target[key], value);
  return target;
}

// Show what changed below `path`.
function show(change, path, value) {
  const found = places.get(path) ?? [];
  for (const [kind, element] of found) {
    if (kind === "rows") rows(element, value);
    else if (kind === "t") { if (element.textContent !== value) element.textContent = value; }
    else if (kind === "c") element.dataset.status = value;
    else element.setAttribute("points", value);
  }
  if (found.length || change === null || typeof change !== "object") return;
  const dirty = new Set();
  for (const [key, part] of Object.entries(change)) {
    if (path.startsWith("strings.") && COLUMNS.has(key)) {
      for (const at of part.i ?? value[key].keys()) dirty.add(at);
    } else {
      show(part, path ? `${path}.${key}` : key, value[key]);
    }
  }
  if (dirty.size) {
    const board = boards[Number(path.slice(8))];
    for (const at of dirty) tile(board[at], value, at);
  }
}

function rows(body, list) {
  while (body.rows.length > list.length) body.deleteRow(-1);
  list.forEach(([status, cells], n) => {
    const row = body.rows[n] ?? body.insertRow();
    row.dataset.status = status;
    cells.forEach((text, c) => {
      const cell = row.cells[c] ?? row.insertCell();
      if (cell.textContent !== text) cell.textContent = text;
    });
  });
}

function tile(item, string, at) {
  const [dev, age, duty] = [string.dev[at], string.age[at], string.duty[at]];
  const mv = dev ?? 0;
  const [, text, svg] = item.children;
  const [bar, bypass] = svg.children;
  item.className = `m${string.mark[at]} w${string.wrong[at]}`;
  text.textContent = age !== null ? shortAge(age) : dev === null ? "--" : signed(dev);
  bar.setAttribute("class", mv < 0 ? "lo" : "hi");
  bar.setAttribute("d", barPath(mv));
  bypass.setAttribute("width", duty * 0.4);
  const volts = string.mv[at] === null ? said.noVoltage : `${decimal(string.mv[at] / 1000, 3)} V`;
  const celsius = string.temp[at] === null ? "" : `, ${decimal(string.temp[at] / 10, 1)} °C`;
  const wrong = ["", `, ${said.warning}`, `, ${said.alarm}`][string.wrong[at]];
  const values = string.mark[at] === 4 ? said.over : `${volts}${celsius}, ${said.bypass} ${duty} %`;
  item.title = `${said.block} ${at + 1}: ${values}${wrong}`;
}

function decimal(value, digits) {
  return value.toFixed(digits).replace(".", said.mark);
}

function barPath(mv) {
  const sign = Math.sign(mv);
  if (Math.abs(mv) > BAR_MV) return `M20 1h${13 * sign}l${6 * sign} 2l${-6 * sign} 2h${-13 * sign}z`;
  const width = mv * 15 / BAR_MV;
  return `M20 1h${width}v4h${-width}z`;
}

function signed(mv) {
  return mv > 0 ? `+${mv}` : mv < 0 ? `\u2212${-mv}` : "0";
}

function shortAge(seconds) {
  if (seconds < 120) return `${seconds} s`;
  return seconds < 7200 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h`;
}

// The page has other strings, blocks or UPSes than the appliance now.
function outgrown(whole) {
  return whole.strings.length !== boards.length || whole.upses.length !== upses
    || whole.strings.some((s, n) => s.dev.length !== boards[n].length);
}

function take(change) {
  heard = Date.now();
  attempt = 0;
  view = merge(view, change);
  if (outgrown(view)) return location.reload();
  show(change, "", view);
  if (document.title !== view.title) document.title = view.title;
}

function connect() {
  clearTimeout(retry);
  source?.close();
  if (document.hidden) return;
  source = new EventSource("/api/v1/stream" + `?lang=${document.documentElement.lang}`);
  source.addEventListener("snapshot", (e) => { view = null; take(JSON.parse(e.data)); });
  source.addEventListener("delta", (e) => take(JSON.parse(e.data)));
  source.addEventListener("end", () => location.assign("/login"));
  source.onerror = async () => {
    source.close();
    // 1 … 30 s, with jitter so that pages do not come back all at once.
    const wait = Math.min(30000, 1000 * 2 ** attempt++) * (0.7 + 0.6 * Math.random());
    clearTimeout(retry);
    retry = setTimeout(connect, wait);
    const answer = await fetch("/api/v1/session").catch(() => null);
    if (answer?.status === 401) location.assign("/login");
  };
}

// A board is one stop of the Tab key; arrows go from tile to tile.
for (const tiles of boards) {
  const links = tiles.map((tile) => tile.querySelector("a"));
  links.forEach((link, n) => { link.tabIndex = n ? -1 : 0; });
  const board = tiles[0]?.parentElement;
  board?.addEventListener("keydown", (e) => {
    const columns = getComputedStyle(board).gridTemplateColumns.split(" ").length;
    const at = links.indexOf(document.activeElement);
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[e.key];
    const to = links[at + by];
    if (at < 0 || !to) return;
    e.preventDefault();
    links[at].tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  });
}

// A licence goes up as it is; what came of it is on the page.
const upload = document.getElementById("licence-file");
upload.hidden = false;
upload.addEventListener("change", async () => {
  const [file] = upload.files;
  if (!file) return;
  const status = document.getElementById("licence-said");
  const answer = await fetch(upload.dataset.to, { method: "POST", body: file }).catch(() => null);
  const told = await answer?.json().catch(() => null);
  status.textContent = answer?.ok ? status.dataset.done : told?.detail ?? told?.title ?? status.dataset.silent;
  upload.value = "";
});

setInterval(() => {
  const silent = Date.now() - heard;
  const stale = silent > STALE_MS && !document.hidden;
  document.body.classList.toggle("stale", stale);
  if (stale) {
    const { text } = offline.dataset;
    if (offline.textContent !== text) offline.textContent = text;
  }
  offline.hidden = !stale;
}, 1000);

document.addEventListener("visibilitychange", () => {
  heard = Date.now();
  connect();
});
connect();
