// The first run as an administrator goes through it, without a script and in
// German: claims the appliance, chooses a password, goes through the steps of the
// setup, leaves one out, takes it up again. Counts the screens (UX-070), and looks
// at each on a desktop, in the dark and on a phone.
//
// usage: node setup.mjs BASE FIRST_PASSWORD CONTROL_SOCKET SCREENSHOT_DIR
import { mkdirSync } from "node:fs";
import { accessible, check, finish, launch, watch } from "./kit.mjs";

const [base, firstPassword, , shots] = process.argv.slice(2);
mkdirSync(shots, { recursive: true });
const browser = await launch();
const looks = [
  ["desktop", { viewport: { width: 1366, height: 768 } }],
  ["dark", { colorScheme: "dark", locale: "de-DE", viewport: { width: 1366, height: 768 } }],
  ["phone", { viewport: { width: 360, height: 740 } }],
];
const context = await browser.newContext({
  ignoreHTTPSErrors: true, javaScriptEnabled: false, locale: "de-DE", viewport: { width: 1366, height: 768 },
});
const page = await context.newPage();
watch(page, "setup", base);
const screens = [];

// The page where one is: a screen of the way, in each look.
async function screen(name) {
  screens.push(name);
  check((await page.locator("html").getAttribute("lang")) === "de", `${name} is not in German`);
  await page.screenshot({ path: `${shots}/setup-${name}.png`, fullPage: true });
  const path = new URL(page.url()).pathname;
  for (const [look, options] of looks) {
    const other = await browser.newContext({ ...options, ignoreHTTPSErrors: true, storageState: await context.storageState() });
    const view = await other.newPage();
    watch(view, `${name} ${look}`, base);
    await view.goto(`${base}${path}`);
    await accessible(view, `${name} ${look}`);
    const wide = await view.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    check(wide <= 0, `${name} ${look}: ${wide} px wider than the screen`);
    await view.screenshot({ path: `${shots}/setup-${name}-${look}.png`, fullPage: true });
    await other.close();
  }
}

const press = (act) => page.click(`main button[value="${act}"]`);
async function at(path, before) {
  check(new URL(page.url()).pathname === path, `${before} leads to ${page.url()}`);
}
const says = async (wanted, where) => {
  const text = await page.locator("main").textContent();
  check(wanted.test(text), `${where}: ${wanted} is not said: ${text.slice(0, 600)}`);
};
// The step of the battery is as it was loaded: load it until it says so.
async function shows(wanted) {
  for (const until = Date.now() + 60_000; Date.now() < until;) {
    await page.goto(`${base}/setup/battery`);
    if (wanted(await page.locator("main").textContent())) break;
    await page.waitForTimeout(250);
  }
}

// Claimed by the code, which is gone then.
await page.goto(base);
await screen("claim");
await page.fill("#password", "00000-00000-00000-00000");
await page.click("button");
await says(/Das ist nicht richtig/, "a wrong code");
await page.fill("#password", firstPassword);
await page.click("button");
await at("/password", "the code");
await screen("password");
const password = `${firstPassword}-and-more`;
await page.fill("#old", firstPassword);
await page.fill("#new", "passwordpassword1");
await page.fill("#again", "passwordpassword1");
await page.click("button >> nth=0");
await says(/leicht zu erraten/, "a weak password");
await page.fill("#old", firstPassword);
await page.fill("#new", password);
await page.fill("#again", password);
await page.click("button >> nth=0");
await at("/setup", "the password");
await screen("list");

// The steps, one after the other.
await page.click("a.go");
await at("/setup/appliance", "the list");
await page.fill("#name", "Rechenzentrum Süd");
await page.fill("#place", "Gebäude 4, Raum 012");
await page.fill("#zone", "Europe/Berlin");
await page.selectOption("#lang", "de");
await screen("appliance");
await press("save");
await at("/setup/battery", "the time zone");
// A guard that has just begun knows no module yet.
await shows((main) => /32 von 32 antworten/.test(main));
await says(/32 × .*32 von 32 antworten/s, "the strings");
await press("discover");
await at("/setup/battery", "the search");
await screen("battery");
// Settings wait for whoever works on a bus.
await shows((main) => !/wird abgesucht/.test(main));

// Strings and batteries: a wrong number, a look, and into force; then back.
await page.click('a[href="/commissioning"]');
await at("/commissioning", "strings and batteries");
await page.screenshot({ path: `${shots}/commissioning.png`, fullPage: true });
await page.fill('[name="string.2.blocks"]', "viele");
await press("look-form");
await says(/Eine ganze Zahl/, "no number of blocks");
await page.fill('[name="string.2.blocks"]', "31");
await page.fill('[name="string.1.name"]', "Raum 1");
await press("look-form");
await says(/Strang Raum 1 ist neu.*/s, "the look");
await says(/blocks wird 31, war 32/, "the look at the blocks");
await page.screenshot({ path: `${shots}/commissioning-look.png`, fullPage: true });
await press("take");
await at("/commissioning", "taking it");
await says(/schützt jetzt nach diesen Einstellungen/, "that it is in force");
// The console greets the guard anew, which takes a moment.
for (const until = Date.now() + 10_000; Date.now() < until;) {
  await page.goto(`${base}/commissioning/report`);
  if (/Raum 1/.test(await page.locator("main").textContent())) break;
  await page.waitForTimeout(250);
}
await says(/Raum 1/, "the report");
await page.screenshot({ path: `${shots}/commissioning-report.png`, fullPage: true });
await page.goto(`${base}/setup/battery`);
await press("settle");
await at("/setup/limits", "the battery");
await screen("limits");
await press("settle");
await at("/setup/receiver", "the limits");
await screen("receiver");
await press("skip");
await at("/setup/ups", "leaving the receiver");
await screen("ups");
await press("settle");
await at("/setup/users", "the UPS");
await screen("users");
await page.fill("#name", "eve");
await press("add");
check((await page.locator("code.secret").count()) === 1, "the first password of eve is not shown");
await page.screenshot({ path: `${shots}/setup-users-added.png`, fullPage: true });
await press("settle");
await at("/setup", "the users");
await says(/Wem es meldet\s*für später/, "what was left out");
await screen("end");
check(screens.length <= 12, `${screens.length} screens: ${screens.join(", ")}`);

// What was left out is marked on the live page, and is taken up again.
await page.goto(base);
await says(/Wem es meldet/, "the live page");
check((await page.locator("p.site").textContent()) === "Rechenzentrum Süd, Gebäude 4, Raum 012", "the live page does not name the site");
await page.screenshot({ path: `${shots}/setup-live.png`, fullPage: true });
await page.goto(`${base}/setup`);
await page.click("a.go");
await at("/setup/receiver", "taking it up again");
await page.fill("#url", "http://127.0.0.1:9/x");
await press("save");
check((await page.locator("code.secret").count()) === 1, "the key of the web server is not shown");
await page.screenshot({ path: `${shots}/setup-receiver-made.png`, fullPage: true });
await page.goto(`${base}/setup`);
await says(/Alles ist eingestellt/, "the list at the end");

// The password once more, and on to where one wanted to go.
await page.goto(`${base}/step-up?to=/plugins`);
await screen("step-up");
await page.fill("#step-up", "this is certainly not it");
await page.click("button");
await says(/Das ist nicht richtig/, "a wrong password");
await page.fill("#step-up", password);
await page.click("button");
await at("/plugins", "the password");

// The code is of no use to anybody else.
await page.click('form[action="/logout"] button');
check((await page.locator("#user").count()) === 1, "a claimed appliance asks for its claim code");
await page.fill("#user", "admin");
await page.fill("#password", firstPassword);
await page.click("button");
check((await page.locator('[role="alert"]').count()) === 1, "the code counts a second time");
await browser.close();
finish(shots, "setup", { screens: screens.length - 1 });
