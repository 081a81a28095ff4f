// The pages that a technician and an administrator use, over the running demo:
// from a tile to its block, thresholds with their preview, a rule and a job with
// a dry run, the calendar, firmware, licence and web servers, the logs, and a
// discharge moment by moment. Forms are
// used without a script; each page is looked at on a desktop, in the dark and on
// a phone.
//
// usage: node pages.mjs BASE FIRST_PASSWORD CONTROL_SOCKET SCREENSHOT_DIR
import { createConnection } from "node:net";
import { createHmac } from "node:crypto";
import { mkdirSync } from "node:fs";
import { accessible, check, finish, launch, prove, signIn, watch } from "./kit.mjs";

const [base, firstPassword, control, shots] = process.argv.slice(2);
mkdirSync(shots, { recursive: true });

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

// What an app shows for a secret in base32 (RFC 6238).
function code(secret) {
  const bits = [...secret.replaceAll(" ", "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
  const mac = createHmac("sha1", key).update(step).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1000000).padStart(6, "0");
}

const browser = await launch();
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1366, height: 768 } });
const page = await context.newPage();
watch(page, "desktop", base);
const password = await signIn(page, base, firstPassword);
await page.waitForFunction(() => document.querySelectorAll(".board li").length === 64, null, { timeout: 30000 });

// A discharge, so that there is one to look at; meanwhile the rest.
await page.waitForFunction(() => /Hz/.test(document.querySelector("[data-ups]")?.textContent ?? ""), null, { timeout: 60000 });
await say("mains off");

// From the board to a block and its trend, with the keyboard alone.
await page.locator(".board a").first().focus();
await page.keyboard.press("ArrowRight");
check((await page.evaluate(() => document.activeElement.textContent)) === "2", "an arrow does not go to the next tile");
await page.keyboard.press("Enter");
await page.waitForURL("**/blocks/1-2");
check((await page.locator("dl.facts div").count()) > 8, "the block has no facts");
const storageState = await context.storageState();
const plain = await browser.newContext({
  ignoreHTTPSErrors: true, javaScriptEnabled: false, locale: "en-GB", viewport: { width: 1366, height: 768 }, storageState,
});
const form = await plain.newPage();
watch(form, "no script", base);
const says = async (wanted, where) => {
  const text = await form.locator("main").textContent();
  check(wanted.test(text), `${where}: ${wanted} is not said: ${text.slice(0, 600)}`);
};

// The lamp of a block.
await form.goto(`${base}/blocks/2-7`);
await form.click('form:has(input[value="locate"]) button');
await says(/lamp of the module blinks/, "block");

// Thresholds: a wrong one is named, a right one looked at, then saved.
await form.goto(`${base}/thresholds`);
await form.fill('input[name="block-temperature.high.warning"]', "hot");
await form.click('.acts button[value="preview"]');
check((await form.locator('input[name="block-temperature.high.warning"][aria-invalid]').count()) === 1, "a word is no temperature");
await form.fill('input[name="block-temperature.high.warning"]', "10");
await form.click('.acts button[value="preview"]');
await says(/With these limits .* warn now/, "thresholds");
await form.screenshot({ path: `${shots}/thresholds-preview.png`, fullPage: true });
await form.fill('input[name="block-temperature.high.warning"]', "45");
await form.click('.acts button[value="save"]');
await says(/Saved and in force/, "thresholds");
await form.goto(`${base}/thresholds?at=string.1.block.2`);
await says(/Whole system/, "thresholds of a block");

// A rule with a mistake, then without; a job for it; a dry run.
await form.goto(`${base}/automation/rule`);
await form.fill("#name", "long-outage");
await form.fill("#when", "ton(ups.0.ups.status has 'OB', 60");
await form.click('.acts button[value="save"]');
check((await form.locator("#e-when").count()) === 1, "an unfinished expression is not named");
await form.screenshot({ path: `${shots}/rule-wrong.png`, fullPage: true });
await form.fill("#when", "ton(ups.0.ups.status has 'OB', 60 s)");
await form.click('.acts button[value="save"]');
await says(/long-outage/, "rules");
await form.goto(`${base}/automation/job?rule=long-outage`);
await form.fill("#name", "note");
await form.selectOption('[id="action.do"]', "log");
await form.click('fieldset:has([id="action.do"]) button');
await form.fill('[id="action.text"]', "the outage is a long one");
await form.click('.acts button[value="try"]');
await says(/Nothing of this was done/, "dry run of a job");
await says(/job note: log/, "dry run of a job");
await form.screenshot({ path: `${shots}/job-tried.png`, fullPage: true });
await form.click('.acts button[value="save"]');
await says(/Saved and in force/, "jobs");
await form.goto(`${base}/automation/rehearsal`);
await form.click('button[value="script"]');
await says(/Nothing of this was done/, "dry run");

// The calendar, in local time.
await form.goto(`${base}/schedule`);
await form.fill("#zone", "Europe/Berlin");
await form.click("form.pick button");
await form.goto(`${base}/schedule/entry`);
await form.fill("#name", "weekly-report");
await form.click('.acts button[value="look"]');
await says(/Next runs \(Europe\/Berlin\): .* 03:00/, "entry");
await form.click('.acts button[value="save"]');
await says(/weekly-report/, "calendar");

// What follows asks for a password that is old, on a slow machine.
await prove(form, base, password);

// The appliance itself; the key of a web server is shown once.
await form.goto(`${base}/firmware`);
await says(/no slots for firmware/, "firmware");
await form.goto(`${base}/network`);
await says(/change it there/, "network");
await form.goto(`${base}/certificate`);
await form.fill("#names", "rack-7.example.org");
await form.click('form[action="/certificate/request"] button');
check(/BEGIN CERTIFICATE REQUEST/.test(await form.locator("textarea[readonly]").inputValue()),
  "no request for a certificate");
await form.screenshot({ path: `${shots}/certificate.png`, fullPage: true });
// What was set: a file with another threshold is looked at, imported, and taken back.
await form.goto(`${base}/configuration`);
await form.setInputFiles("#file", { name: "other.toml", mimeType: "application/toml", buffer: Buffer.from(`[export]
of = "evenkeel configuration"
form = 1
[[thresholds.threshold]]
at = "system"
quantity = "block-temperature"
side = "high"
warning = 46.5
`) });
await form.click(".upload button");
await says(/Nothing was changed yet/, "import");
check((await form.locator("pre.diff ins").allTextContents()).some((line) => line.includes("46.5")), "the import does not say what is new");
await form.screenshot({ path: `${shots}/configuration-import.png`, fullPage: true });
await form.click('.acts button[value="import"]');
await says(/Imported and in force/, "import");
await form.goto(`${base}/configuration/thresholds`);
await form.locator('main a[href*="?back="]').nth(1).click();
await form.check('input[name="confirm"]');
await form.screenshot({ path: `${shots}/configuration-restore.png`, fullPage: true });
await form.click(".acts button");
await says(/Restored and in force/, "restore");
await form.goto(`${base}/licence`);
await says(/Protection is never limited/, "licence");
await form.goto(`${base}/webhooks/edit`);
await form.fill("#name", "ops");
await form.fill("#url", "http://127.0.0.1:9/x");
await form.click(".acts button");
check((await form.locator("code.secret").count()) === 1, "the key of a web server is not shown");
await form.screenshot({ path: `${shots}/webhook-key.png`, fullPage: true });
await form.click('button[value="test"]');
await says(/ops did not take the message/, "web server");

// Logs.
await form.goto(`${base}/audit?check=yes`);
await says(/Whole: entries 1 to/, "audit log");
await form.goto(`${base}/events?about=ups.0`);
await says(/ups\.0 runs on battery/, "events");

// The discharge is over and is gone through.
await say("mains on");
const begun = Date.now();
for (;;) {
  await form.goto(`${base}/discharges`);
  if ((await form.locator('main a[href^="/discharges/1-"]').count()) > 0) break;
  if (Date.now() - begun > 400000) throw new Error("no discharge is recorded");
  await new Promise((resolve) => setTimeout(resolve, 2000));
}
const discharge = await form.locator('main a[href^="/discharges/1-"]').first().getAttribute("href");
await form.goto(`${base}${discharge}`);
check((await form.locator("figure.chart svg").count()) > 0, "the discharge has no chart");
check((await form.locator("table.numbers tbody tr").count()) === 32, "not every block is in the table");

// Every page as it looks, and what it weighs.
const paths = {
  string: "/strings/1?sort=worst&span=24h", block: "/blocks/1-2?span=24h", discharges: "/discharges", discharge,
  events: "/events", thresholds: "/thresholds", "thresholds-block": "/thresholds?at=string.1.block.2",
  automation: "/automation", job: "/automation/job?name=note", rule: "/automation/rule?name=long-outage",
  rehearsal: "/automation/rehearsal", schedule: "/schedule", entry: "/schedule/entry?name=weekly-report", audit: "/audit",
  firmware: "/firmware", licence: "/licence", webhooks: "/webhooks", certificate: "/certificate", configuration: "/configuration", network: "/network",
  commissioning: "/commissioning", "commissioning-report": "/commissioning/report", accounts: "/accounts",
  document: "/configuration/thresholds?from=1", webhook: "/webhooks/edit?name=ops",
  "second-factor": "/second-factor",
};
const weights = {};
for (const [kind, options] of [
  ["desktop", { viewport: { width: 1366, height: 768 } }],
  ["dark", { colorScheme: "dark", locale: "de-DE", viewport: { width: 1366, height: 768 } }],
  ["phone", { viewport: { width: 360, height: 740 } }],
]) {
  const signedIn = await plain.storageState();
  const other = await browser.newContext({ ...options, ignoreHTTPSErrors: true, storageState: signedIn });
  const view = await other.newPage();
  let bytes = 0;
  const client = await other.newCDPSession(view);
  await client.send("Network.enable");
  await client.send("Network.setCacheDisabled", { cacheDisabled: true });
  client.on("Network.loadingFinished", (e) => { bytes += e.encodedDataLength; });
  for (const [name, path] of Object.entries(paths)) {
    watch(view, `${name} ${kind}`, base);
    bytes = 0;
    await view.goto(`${base}${path}`);
    weights[name] = Math.max(weights[name] ?? 0, bytes);
    await view.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
    await accessible(view, `${name} ${kind}`);
    await view.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = false; }));
    const wide = await view.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    check(wide <= 0, `${name} ${kind}: ${wide} px wider than the screen`);
    if (kind === "dark") check((await view.locator("html").getAttribute("lang")) === "de", `${name} is not in German`);
    await view.screenshot({ path: `${shots}/${name}-${kind}.png`, fullPage: true });
    view.removeAllListeners();
  }
  await other.close();
}

// A second factor: the picture, the first code, the recovery codes; then a sign-in
// with one of them. Last, because it ends all other sessions.
await form.goto(`${base}/second-factor`);
await form.fill("#password", password);
await form.click('form[action="/second-factor"] button');
await form.screenshot({ path: `${shots}/second-factor-new.png`, fullPage: true });
await form.fill("#code", code(await form.locator("code.secret").textContent()));
await form.click('form[action="/second-factor"] button');
const recovery = await form.locator("ul.codes code").allTextContents();
check(recovery.length === 10, `${recovery.length} recovery codes`);
await form.screenshot({ path: `${shots}/second-factor-codes.png`, fullPage: true });
await form.click('form[action="/logout"] button');
await form.fill("#user", "admin");
await form.fill("#password", password);
await form.click("button");
await form.fill("#answer", recovery[0]);
await form.click("button");
await form.goto(`${base}/second-factor`);
await says(/9 recovery codes are left/, "second factor");

// It is required of a role: who has that turns theirs on before anything else.
await form.goto(`${base}/accounts`);
await form.click("summary:has-text('Add a user')");
await form.fill("#nu", "eve");
await form.check('details:has(#nu) input[value="viewer"]');
await form.click("details:has(#nu) button");
const first = await form.locator("code.secret").textContent();
const rule = 'form:has(input[value="require-factor"])';
await form.check(`${rule} input[value="viewer"]`);
await form.click(`${rule} button`);
await says(/no second factor yet/, "accounts");
await form.screenshot({ path: `${shots}/accounts-required-factor.png`, fullPage: true });
const led = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1366, height: 768 } });
const eve = await led.newPage();
watch(eve, "led", base);
await eve.goto(base);
await eve.fill("#user", "eve");
await eve.fill("#password", first);
await eve.click("button");
await eve.fill("#old", first);
await eve.fill("#new", `${first}-and-more`);
await eve.fill("#again", `${first}-and-more`);
await eve.click("button >> nth=0");
await eve.waitForURL("**/second-factor");
await eve.goto(`${base}/events`);
check(new URL(eve.url()).pathname === "/second-factor", `not led to the second factor: ${eve.url()}`);
check((await eve.locator('.menu a[href="/events"]').count()) === 0, "there is a menu of what does not open");
await accessible(eve, "led to the second factor");
await eve.screenshot({ path: `${shots}/second-factor-required.png`, fullPage: true });
await eve.fill("#password", `${first}-and-more`);
await eve.click('form[action="/second-factor"] button');
await eve.fill("#code", code(await eve.locator("code.secret").textContent()));
await eve.click('form[action="/second-factor"] button');
await accessible(eve, "recovery codes");
await eve.click('section a[href="/"]');
await eve.waitForSelector("section.string");
await led.close();

for (const [name, bytes] of Object.entries(weights)) check(bytes <= 150000, `${name} weighs ${bytes} bytes`);
await browser.close();
finish(shots, "pages", { weights });
