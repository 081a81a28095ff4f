// What the console costs, over a running appliance: weights, answer times, how
// long a value takes to the screen with viewers connected, what a change costs a
// slow page, axe and Lighthouse. Prints a line `name: value unit` for each figure;
// `cargo xtask bench --only console` sets the budgets beside them
// (facts/console-ux.md §7). Nothing is judged here.
//
// usage: node budgets.mjs BASE FIRST_PASSWORD CONTROL_SOCKET DAEMON_PID [LIGHTHOUSE_DIR]
import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { request as https, Agent } from "node:https";
import { createConnection } from "node:net";
import { connect as tls } from "node:tls";
import { gunzipSync, gzipSync } from "node:zlib";
import { accessible, launch, problems, signIn, watch } from "./kit.mjs";

const [base, firstPassword, control, pid, lighthouseDir] = process.argv.slice(2);
const { hostname: host, port } = new URL(base);

const VIEWERS = 20;
const STREAMS_PER_SESSION = 4;
const ANSWERS = 60;
const STEPS = 40;
const TICKS = 40;
const SLOW = 6;

// The pages of the menu (who.rs), and those of a string and a block.
const CHARTS = ["/strings/1", "/blocks/1-5"];
const PAGES = ["/", ...CHARTS, "/commissioning", "/discharges", "/alarms", "/events", "/thresholds", "/automation", "/schedule",
  "/webhooks", "/accounts", "/plugins", "/licence", "/network", "/certificate", "/firmware", "/configuration", "/setup", "/audit"];

function tell(name, value, unit) {
  console.log(`${name}: ${Math.round(value * 1000) / 1000} ${unit}`);
}

function at(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What was measured before something failed is told all the same.
process.on("uncaughtException", (error) => {
  console.log(`problem ${error.message}`);
  process.exit(0);
});

// A word to the simulated hardware.
function say(words) {
  return new Promise((resolve, reject) => {
    const socket = createConnection(control, () => socket.write(`${words}\n`));
    let answer = "";
    socket.on("data", (bytes) => { answer += bytes; if (/^(ok|error)/m.test(answer)) socket.destroy(); });
    socket.on("close", () => (/^ok/m.test(answer) ? resolve(answer) : reject(new Error(`${words}: ${answer}`))));
    socket.on("error", reject);
  });
}

// One request outside the browser; the whole answer, and how long it took.
function ask(path, { cookie = "", body, agent, headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const options = {
      host, port, path, agent, method: body ? "POST" : "GET", rejectUnauthorized: false,
      headers: { cookie, "accept-encoding": "gzip", ...(body && { "content-type": "application/json", "sec-fetch-site": "same-origin" }), ...headers },
    };
    const sent = https(options, (answer) => {
      const parts = [];
      answer.on("data", (part) => parts.push(part));
      answer.on("end", () => {
        const whole = Buffer.concat(parts);
        const plain = answer.headers["content-encoding"] === "gzip" ? gunzipSync(whole) : whole;
        resolve({ ms: performance.now() - begun, status: answer.statusCode, headers: answer.headers, bytes: whole.length, text: plain.toString() });
      });
    });
    sent.on("error", reject);
    sent.end(body && JSON.stringify(body));
  });
}

// A viewer that reads the stream and shows nothing; what it was sent is counted.
function viewer(cookie, told) {
  return new Promise((resolve, reject) => {
    const sent = https({ host, port, path: "/api/v1/stream?lang=en", agent: false, rejectUnauthorized: false, headers: { cookie } }, (answer) => {
      if (answer.statusCode !== 200) return reject(new Error(`a stream is refused: ${answer.statusCode}`));
      let rest = "";
      answer.setEncoding("utf8");
      answer.on("data", (part) => {
        const events = (rest + part).split("\n\n");
        rest = events.pop();
        for (const event of events) {
          const kind = /^event: ?(\w+)$/m.exec(event)?.[1];
          if (kind) told(kind, event.length + 2, event);
        }
      });
      resolve({ end: () => sent.destroy() });
    });
    sent.on("error", (e) => (sent.destroyed ? null : reject(e)));
    sent.end();
  });
}

// Processor time of the daemon so far, ms (proc(5): clock ticks of 10 ms).
function cpuMs() {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function residentMb() {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1000;
}

// The own certificate counts as a good one: with a bad one Chromium keeps nothing
// in its cache, and a second visit would weigh as much as the first.
const certificate = await new Promise((resolve, reject) => {
  const socket = tls({ host, port: Number(port), rejectUnauthorized: false }, () => {
    resolve(new X509Certificate(socket.getPeerCertificate(true).raw));
    socket.destroy();
  });
  socket.on("error", reject);
});
const key = createHash("sha256").update(certificate.publicKey.export({ type: "spki", format: "der" })).digest("base64");
const browser = await launch([`--ignore-certificate-errors-spki-list=${key}`]);
const desk = { viewport: { width: 1366, height: 768 }, locale: "en-GB" };
const context = await browser.newContext(desk);
const page = await context.newPage();
watch(page, "live", base);
const password = await signIn(page, base, firstPassword);
await page.waitForFunction(() => {
  const tiles = [...document.querySelectorAll(".board li")];
  return tiles.length === 512 && tiles.every((tile) => !/--| s$/.test(tile.textContent));
}, null, { timeout: 120000 });
const cookieOf = async () => (await context.cookies()).map((c) => `${c.name}=${c.value}`).join("; ");
const cookie = await cookieOf();

// Scripts and styles.
const scripts = ["live.js"];
const version = await page.evaluate(() => document.querySelector('link[rel="stylesheet"]').href.split("/").at(-2));
let raw = 0;
for (const file of scripts) raw += (await ask(`/assets/${version}/${file}`)).text.length;
tell("own JavaScript, raw", raw / 1000, "kB");
tell("module of the board, compressed", gzipSync((await ask(`/assets/${version}/live.js`)).text).length / 1000, "kB");

// Weight and requests of each page, cold and warm. The live stream, which never
// ends, is a request and is weighed by itself.
const storageState = await context.storageState();
await page.close();
async function visit(view, client, path) {
  let bytes = 0, requests = 0;
  const began = (e) => { if (!e.request.url.startsWith("data:")) requests += 1; };
  const ended = (e) => { bytes += e.encodedDataLength; };
  client.on("Network.requestWillBeSent", began);
  client.on("Network.loadingFinished", ended);
  await view.goto(`${base}${path}`, { waitUntil: "load" });
  // The icon comes after the page.
  await pause(300);
  client.off("Network.requestWillBeSent", began);
  client.off("Network.loadingFinished", ended);
  return { bytes, requests };
}
for (const path of PAGES) {
  const other = await browser.newContext({ ...desk, storageState });
  const view = await other.newPage();
  const client = await other.newCDPSession(view);
  await client.send("Network.enable");
  const cold = await visit(view, client, path);
  await view.goto("about:blank");
  const warm = await visit(view, client, path);
  tell(`weight ${path}, cold`, cold.bytes / 1000, "kB");
  tell(`weight ${path}, warm`, warm.bytes / 1000, "kB");
  tell(`requests ${path}, cold`, cold.requests, "requests");
  await other.close();
}

// How long the appliance takes to answer, over one connection of this machine.
const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
for (const path of PAGES) {
  const times = [];
  for (let n = 0; n < ANSWERS; n += 1) {
    const answer = await ask(path, { cookie, agent });
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
    times.push(answer.ms);
  }
  tell(`answer ${path}, p50`, at(times, 0.5), "ms");
  tell(`answer ${path}, p95`, at(times, 0.95), "ms");
}
agent.destroy();

// Twenty viewers: the page of this browser and others that only read.
const counted = { snapshot: [], delta: [], shares: [] };
let last = null;
const told = (first) => (kind, bytes, event) => {
  counted[kind]?.push(bytes);
  if (!first) return;
  const data = JSON.parse(/^data: ?(.*)$/m.exec(event)[1]);
  if (kind === "snapshot") last = data;
  if (kind !== "delta") return;
  // The share of tiles that this change touches.
  const touched = Object.values(data.strings ?? {}).map((string) => new Set(
    ["dev", "mv", "temp", "duty", "mark", "wrong", "age"].flatMap((column) => string[column]?.i ?? [])).size);
  if (touched.length) counted.shares.push(touched.reduce((a, b) => a + b, 0) / 512);
};
const streams = [];
const cookies = [cookie];
while (cookies.length * STREAMS_PER_SESSION < VIEWERS) {
  const entry = await ask("/api/v1/login", { body: { user: "admin", password } });
  if (entry.status !== 200) throw new Error(`no further session: ${entry.text}`);
  cookies.push(entry.headers["set-cookie"][0].split(";")[0]);
}
const idleBefore = [cpuMs(), performance.now()];
await pause(10000);
tell("daemon without viewers, share of a core", 100 * (cpuMs() - idleBefore[0]) / (performance.now() - idleBefore[1]), "%");
const live = await browser.newContext({ ...desk, storageState });
const board = await live.newPage();
watch(board, "live", base);
await board.goto(base);
await board.waitForFunction(() => document.querySelectorAll(".board li").length === 512);
for (let n = 1; n < VIEWERS; n += 1) streams.push(await viewer(cookies[Math.floor(n / STREAMS_PER_SESSION)], told(n === 1)));
await pause(3000);

// A block's reading jumps in the plant, and is painted. From the plant it waits for
// the next scan of the bus; from when the guard published that, for the console alone.
await board.evaluate(() => {
  window.painted = (string, at) => new Promise((resolve) => {
    const tile = document.querySelectorAll("[data-string]")[string].querySelectorAll(".board li")[at].children[1];
    // Wherever the block is: the strings are not equalized yet.
    const shown = () => Number(tile.textContent.replace("\u2212", "-").replace("+", ""));
    const from = shown();
    const is = () => Math.abs(shown() - from) > 150;
    const done = () => requestAnimationFrame(() => {
      // After this frame's paint.
      const channel = new MessageChannel();
      channel.port1.onmessage = () => resolve(performance.timeOrigin + performance.now());
      channel.port2.postMessage(null);
    });
    const observer = new MutationObserver(() => { if (is()) { observer.disconnect(); done(); } });
    observer.observe(tile, { childList: true, characterData: true, subtree: true });
  });
});
const fromPlant = [], fromStamp = [];
const before = [cpuMs(), performance.now()];
for (let n = 0; n < STEPS; n += 1) {
  const string = n % 16;
  const far = Math.floor(n / 16) % 2 === 0;
  await pause(Math.random() * 1000);
  const painting = board.evaluate((s) => window.painted(s, 4), string);
  const began = performance.timeOrigin + performance.now();
  await say(`module ${string * 32 + 5} offset ${far ? 300 : 0}`);
  const painted = await Promise.race([painting, pause(20000).then(() => null)]);
  if (painted === null) throw new Error(`a jump of block ${string + 1}-5 is not painted`);
  fromPlant.push(painted - began);
  const published = JSON.parse((await ask("/api/v1/guard", { cookie })).text).unix_ms;
  // The next cycle may be out already.
  if (published <= painted) fromStamp.push(painted - published);
}
const seconds = (performance.now() - before[1]) / 1000;
tell("plant to pixel, p50", at(fromPlant, 0.5), "ms");
tell("plant to pixel, p95", at(fromPlant, 0.95), "ms");
tell("value to pixel, readings", fromStamp.length, "readings");
tell("value to pixel, p50", at(fromStamp, 0.5), "ms");
tell("value to pixel, p95", at(fromStamp, 0.95), "ms");
tell("value to pixel, worst", Math.max(...fromStamp), "ms");
tell("daemon with 20 viewers, share of a core", 100 * (cpuMs() - before[0]) / (seconds * 1000), "%");
tell("daemon with 20 viewers, resident", residentMb(), "MB");
tell("stream, whole view of 512 blocks", at(counted.snapshot, 0.5) / 1000, "kB");
tell("stream, a change, p50", at(counted.delta, 0.5) / 1000, "kB");
tell("stream, a change touches, p50", 100 * at(counted.shares, 0.5), "% of the tiles");
for (const stream of streams) stream.end();
await live.close();

// What a change costs a page on a slow machine: the script of the appliance, fed with
// changes of the last whole view by the clock of this script.
async function ticks(share) {
  const slow = await browser.newContext({ ...desk, storageState });
  await slow.addInitScript(() => {
    window.EventSource = class extends EventTarget {
      constructor() { super(); window.source = this; }
      close() {}
    };
    window.longest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((e) => { window.longest = Math.max(window.longest, e.duration); }))
      .observe({ type: "longtask" });
  });
  const view = await slow.newPage();
  watch(view, "slow", base);
  await view.goto(base);
  await view.evaluate((data) => window.source.dispatchEvent(new MessageEvent("snapshot", { data })), JSON.stringify(last));
  const client = await slow.newCDPSession(view);
  await client.send("Performance.enable");
  await client.send("Emulation.setCPUThrottlingRate", { rate: SLOW });
  await pause(2000);
  await view.evaluate(() => { window.longest = 0; });
  const spent = async () => (await client.send("Performance.getMetrics")).metrics.find((m) => m.name === "TaskDuration").value * 1000;
  const run = async (feed) => {
    const begun = await spent();
    for (let n = 0; n < TICKS; n += 1) {
      await feed(n);
      await pause(250);
    }
    return (await spent() - begun) / TICKS;
  };
  const change = (n) => JSON.stringify({ strings: Object.fromEntries(last.strings.map((string, s) => {
    const i = [...string.dev.keys()].filter((at) => (at + s + n) % Math.round(1 / share) === 0);
    return [s, { dev: { i, v: i.map((at) => ((at * 7 + n * 13) % 90) - 45) }, mv: { i, v: i.map((at) => 13600 + ((at * 7 + n * 13) % 90)) } }];
  })) });
  const nothing = await run(() => view.evaluate(() => null));
  const cost = await run((n) => view.evaluate((data) => window.source.dispatchEvent(new MessageEvent("delta", { data })), change(n)));
  const longest = await view.evaluate(() => window.longest);
  await slow.close();
  return { cost: cost - nothing, longest };
}
for (const [share, name] of [[0.1, "a tenth of the tiles"], [1, "all tiles"]]) {
  const { cost, longest } = await ticks(share);
  tell(`change of ${name} at 6x, main thread`, cost, "ms");
  tell(`change of ${name} at 6x, longest task`, longest, "ms");
}

// The first sight of the board on a slow machine.
{
  const slow = await browser.newContext({ ...desk, storageState });
  const view = await slow.newPage();
  const client = await slow.newCDPSession(view);
  await client.send("Emulation.setCPUThrottlingRate", { rate: SLOW });
  await view.goto(base, { waitUntil: "load" });
  const { first, largest } = await view.evaluate(() => new Promise((resolve) => {
    new PerformanceObserver((list) => resolve({
      first: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? NaN,
      largest: list.getEntries().at(-1).startTime,
    })).observe({ type: "largest-contentful-paint", buffered: true });
  }));
  tell("first contentful paint of the board at 6x", first, "ms");
  tell("largest contentful paint of the board at 6x", largest, "ms");
  await slow.close();
}

// axe over all pages, in both themes and two widths.
{
  const found = problems.length;
  for (const [kind, options] of [
    ["desktop", desk],
    ["dark phone", { colorScheme: "dark", locale: "de-DE", viewport: { width: 360, height: 740 } }],
  ]) {
    const other = await browser.newContext({ ...options, storageState });
    const view = await other.newPage();
    for (const path of PAGES) {
      await view.goto(`${base}${path}`);
      await view.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
      await accessible(view, `${path} ${kind}`);
    }
    await other.close();
  }
  tell("axe, violations", problems.slice(found).filter((p) => p.includes(": axe ")).length, "violations");
  tell("errors in the console, and foreign requests", problems.filter((p) => !p.includes(": axe ")).length, "problems");
}

// Lighthouse drives a browser of its own, signed in by the same cookie.
if (lighthouseDir) {
  try {
    const { default: lighthouse, desktopConfig } = await import(`${lighthouseDir}/node_modules/lighthouse/core/index.js`);
    const debugging = 9333;
    const own = await launch([`--ignore-certificate-errors-spki-list=${key}`, `--remote-debugging-port=${debugging}`]);
    try {
      for (const path of ["/", "/alarms"]) {
        for (const [kind, config] of [["desktop", desktopConfig], ["mobile", undefined]]) {
          const flags = { port: debugging, output: "json", logLevel: "error", extraHeaders: { cookie }, disableStorageReset: true, onlyCategories: ["performance", "accessibility", "best-practices"] };
          const { lhr } = await lighthouse(`${base}${path}`, flags, config);
          if (lhr.runtimeError) throw new Error(lhr.runtimeError.message);
          for (const category of Object.values(lhr.categories)) {
            tell(`Lighthouse ${kind} ${path}, ${category.title.toLowerCase()}`, (category.score ?? NaN) * 100, "points");
            const lost = category.auditRefs.filter((ref) => ref.weight > 0 && (lhr.audits[ref.id].score ?? 1) < 0.9).map((ref) => ref.id);
            if (lost.length) console.log(`   lost by ${lost.join(", ")}`);
          }
        }
      }
    } finally {
      await own.close();
    }
  } catch (error) {
    console.log(`Lighthouse did not run with this Chromium and node ${process.version}. Why: ${error.message.split("\n")[0]}`);
  }
}

await browser.close();
for (const problem of problems) console.log(`problem ${problem}`);
process.exit(0);
