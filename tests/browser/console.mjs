// The console as a person uses it, in a distribution's Chromium: signs in,
// watches the strings close, an alarm come up and be muted, and the UPS go on
// battery, and checks that every page is accessible and asks nobody else for
// anything.
//
// usage: node console.mjs BASE FIRST_PASSWORD CONTROL_SOCKET SCREENSHOT_DIR
import { createConnection } from "node:net";
import { mkdirSync } from "node:fs";
import { accessible, check, finish, launch, prove, watch as watchOf } from "./kit.mjs";

const [base, firstPassword, control, shots] = process.argv.slice(2);
mkdirSync(shots, { recursive: true });
const watch = (page, name) => watchOf(page, name, base);

function say(words) {
  return new Promise((resolve, reject) => {
    const socket = createConnection(control, () => socket.write(`${words}\n`));
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes;
      if (/^(ok|error)/m.test(answer)) socket.destroy();
    });
    socket.on("close", () =>
      /^ok/m.test(answer) ? resolve(answer) : reject(new Error(`${words}: ${answer}`)),
    );
    socket.on("error", reject);
  });
}

async function look(page, name) {
  await page.screenshot({ path: `${shots}/${name}.png` });
}

const text = (page, key) => page.locator(`[data-t="${key}"]`).textContent();

async function until(page, what, seconds, condition, argument) {
  const start = Date.now();
  await page.waitForFunction(condition, argument, { timeout: seconds * 1000, polling: 100 }).catch(() => {
    throw new Error(`${what}: not within ${seconds} s`);
  });
  return Date.now() - start;
}

const browser = await launch();
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1366, height: 768 } });
const page = await context.newPage();
watch(page, "desktop");

// Claiming: a wrong code, the right one, the forced change.
await page.goto(base);
await accessible(page, "login");
await look(page, "login");
await page.fill("#password", "this is certainly not it");
await page.click("button");
check((await page.locator('[role="alert"]').count()) === 1, "a wrong password shows no message");
await look(page, "login-refused");
await page.fill("#password", firstPassword);
await page.click("button");
await page.waitForSelector("#new");
await accessible(page, "password");
await look(page, "password");
const password = `${firstPassword}-and-more`;
await page.fill("#old", firstPassword);
await page.fill("#new", password);
await page.fill("#again", password);
await page.click("button >> nth=0");
await page.waitForURL("**/setup");
await page.goto(base);
await page.waitForSelector("section.string");

// The live page: weight, accessibility, looks.
const client = await context.newCDPSession(page);
await client.send("Network.enable");
await client.send("Network.setCacheDisabled", { cacheDisabled: true });
let bytes = 0, requests = 0;
client.on("Network.loadingFinished", (e) => { bytes += e.encodedDataLength; requests += 1; });
await page.reload();
await until(page, "live values", 15, () => document.querySelectorAll(".board li").length === 64);
const weight = { bytes, requests };
await accessible(page, "live");
await look(page, "live-start");
const apart = await text(page, "strings.0.worst");

// The plugin's values are there.
await until(page, "the UPS is read", 30, () => /Hz/.test(document.querySelector("[data-ups]")?.textContent ?? ""));

// Both strings close.
const closing = await until(page, "both strings in band", 600, () =>
  [0, 1].every((n) => document.querySelector(`[data-t="strings.${n}.state"]`).textContent === "in band"));
check((await page.locator(".board li:not(.m0)").count()) === 0, "a tile is out of band although both strings are in");
await accessible(page, "live, in band");
await look(page, "live-closed");

// Other looks: dark, phone, without script.
for (const [name, options] of [
  ["dark", { colorScheme: "dark", viewport: { width: 1366, height: 768 } }],
  ["phone", { viewport: { width: 360, height: 740 } }],
  ["no-script", { javaScriptEnabled: false, viewport: { width: 1366, height: 768 } }],
]) {
  const other = await browser.newContext({ ...options, ignoreHTTPSErrors: true, storageState: await context.storageState() });
  const view = await other.newPage();
  watch(view, name);
  await view.goto(base, { waitUntil: "domcontentloaded" });
  check((await view.locator(".board li").count()) === 64, `${name}: the board is not there`);
  if (name === "no-script") {
    check(/in band/.test(await view.locator("section.string").first().textContent()), "no-script: no state");
    check(await view.locator("form.pause button").first().isVisible(), "no-script: no button");
  } else {
    await accessible(view, name);
    const wide = await view.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    check(wide <= 0, `${name}: ${wide} px wider than the screen`);
  }
  await look(view, `live-${name}`);
  await other.close();
}

// A button: equalization of the second string pauses, and goes on.
const act = (order, string) => page.locator(`[data-string="${string}"] form.${order} button`);
await act("pause", 1).click();
await until(page, "the pause", 15, () =>
  /paused/.test(document.querySelector('[data-t="strings.1.equalizing"]').textContent));
check(!(await act("pause", 1).isVisible()), "a paused string offers a pause");
await act("resume", 1).click();
await until(page, "the end of the pause", 15, () =>
  !/paused/.test(document.querySelector('[data-t="strings.1.equalizing"]').textContent));

// A module falls silent: a warning after half a minute, an alarm that sounds
// after two, which can be muted.
const listed = (status) => [...document.querySelectorAll('[data-rows="alarms"] tr')].some((row) =>
  row.dataset.status === status && /block 5\s*Module does not answer/.test(row.textContent));
const muteButton = page.locator("form.mute button");
check(!(await muteButton.isVisible()), "there is something to mute although nothing sounds");
await say("module 5 vanish on");
await until(page, "the lost module among the alarms", 60, listed, "warning");
const lost = await page.locator('[data-string="0"] .board li').nth(4).getAttribute("class");
check(/^m[23] w1$/.test(lost), `the tile of the lost module does not say so: ${lost}`);
await until(page, "the lost module as an alarm", 150, listed, "alarm");
await until(page, "the buzzer", 15, () =>
  document.querySelector('[data-c="sounding"]').dataset.status === "buzzer");
await accessible(page, "live, alarm");
await look(page, "live-alarm");
await muteButton.click();
await until(page, "the mute", 15, () =>
  document.querySelector('[data-c="sounding"]').dataset.status === "");
check(!(await muteButton.isVisible()), "muted, and still something to mute");

// The alarms page: what to do, in two languages and without a script; the
// alarm is acknowledged with a note.
const plain = await browser.newContext({
  ignoreHTTPSErrors: true, javaScriptEnabled: false, locale: "de-DE", viewport: { width: 1366, height: 768 },
  storageState: await context.storageState(),
});
const alarms = await plain.newPage();
watch(alarms, "alarms");
await alarms.goto(`${base}/alarms`);
check((await alarms.locator("html").getAttribute("lang")) === "de", "the alarms page is not in German");
const row = alarms.locator("tr[data-alarm]", { hasText: "Modul antwortet nicht" });
check((await row.count()) === 1, "the lost module is not one alarm of the page");
await row.locator('input[name="note"]').fill("Modul wird getauscht");
await row.locator("button", { hasText: "Quittieren" }).click();
await alarms.waitForSelector("text=Quittiert von admin");
await look(alarms, "alarms-de");
await plain.close();
for (const width of [1366, 360]) {
  const view = await context.newPage();
  await view.setViewportSize({ width, height: 768 });
  watch(view, `alarms ${width}`);
  await view.goto(`${base}/alarms?lang=en`);
  await view.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  await accessible(view, `alarms ${width}`);
  await look(view, `alarms-${width}`);
  await view.close();
}
check(await page.evaluate(listed, "alarm"), "muting took the alarm off the list");
await say("module 5 vanish off");
await until(page, "the end of the alarm", 30, () =>
  !/block 5/.test(document.querySelector('[data-rows="alarms"]').textContent));

// Mains fail and return: the page says so without being reloaded.
const mainsState = await text(page, "upses.0.state");
await say("mains off");
const toBattery = await until(page, "the UPS on battery", 20, (s) =>
  document.querySelector('[data-t="upses.0.state"]').textContent !== s, mainsState);
await look(page, "live-on-battery");
await say("mains on");
await until(page, "the UPS back on mains", 20, (s) =>
  document.querySelector('[data-t="upses.0.state"]').textContent === s, mainsState);

// Accounts want the password again, which was given minutes ago; the live page goes
// on meanwhile.
const proof = await context.newPage();
watch(proof, "step-up");
await proof.goto(`${base}/step-up?to=/accounts`);
await accessible(proof, "step-up");
await look(proof, "step-up");
await prove(proof, base, password);
await proof.close();

// Accounts: a viewer is added without a script, signs in with the first
// password that was shown once, and finds no button.
const desk = await browser.newContext({
  ignoreHTTPSErrors: true, javaScriptEnabled: false, viewport: { width: 1366, height: 768 },
  storageState: await context.storageState(),
});
const accounts = await desk.newPage();
watch(accounts, "accounts", base);
await accounts.goto(`${base}/accounts`);
await accounts.click("summary:has-text('Add a user')");
await accounts.fill("#nu", "eve");
await accounts.check('details:has(#nu) input[value="viewer"]');
await accounts.click("details:has(#nu) button");
const shown = await accounts.locator("code.secret").textContent();
await look(accounts, "accounts-first-password");
await desk.close();
const guest = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1366, height: 768 } });
const eve = await guest.newPage();
watch(eve, "viewer", base);
await eve.goto(base);
await eve.fill("#user", "eve");
await eve.fill("#password", shown);
await eve.click("button");
await eve.waitForSelector("#new");
await eve.fill("#old", shown);
await eve.fill("#new", `${shown}-and-more`);
await eve.fill("#again", `${shown}-and-more`);
await eve.click("button >> nth=0");
await eve.waitForSelector("section.string");
check((await eve.locator('form[action="/orders"]').count()) === 0, "the viewer has buttons");
check((await eve.locator('.menu a[href="/accounts"]').count()) === 0, "the viewer has the accounts menu");
await accessible(eve, "viewer");
await look(eve, "viewer");
await guest.close();
for (const width of [1366, 360]) {
  const view = await context.newPage();
  await view.setViewportSize({ width, height: 768 });
  watch(view, `accounts ${width}`, base);
  await view.goto(`${base}/accounts`);
  await view.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  await accessible(view, `accounts ${width}`);
  await look(view, `accounts-${width}`);
  await view.close();
}

// Signing out closes the page's door.
await page.click("text=Sign out");
await page.waitForSelector("#password");
await page.goto(base);
check((await page.locator("#password").count()) === 1, "signed out, but still let in");
await browser.close();
finish(shots, "report", { weight, apart, seconds_to_band: closing / 1000, ms_mains_off_to_screen: toBattery });
