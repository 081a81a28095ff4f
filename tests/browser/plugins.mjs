// The plugins' pages as a person uses them: removes what was there, uploads a
// bundle, reads what it asks for, is told what is wrong with the form, grants,
// sees it run and what it costs, updates, goes back, switches off, removes.
// Without script the pages are the same, so most of it is done without.
//
// usage: node plugins.mjs BASE FIRST_PASSWORD LINE BUNDLE NEXT_BUNDLE SCREENSHOT_DIR
import { mkdirSync } from "node:fs";
import { accessible, check, finish, launch, prove, signIn, watch } from "./kit.mjs";

const [base, firstPassword, line, bundle, nextBundle, shots] = process.argv.slice(2);
mkdirSync(shots, { recursive: true });
const browser = await launch();
const size = { width: 1366, height: 900 };

// Signs in with script, because the live page is where one arrives.
const first = await browser.newContext({ ignoreHTTPSErrors: true, viewport: size });
const arrival = await first.newPage();
watch(arrival, "arrival", base);
const password = await signIn(arrival, base, firstPassword);
const storageState = await first.storageState();
const context = await browser.newContext({
  ignoreHTTPSErrors: true, viewport: size, storageState, javaScriptEnabled: false,
});
const page = await context.newPage();
watch(page, "plugins", base);
const content = () => page.textContent("main");

// Each page in both lights, judged in both, and on a phone.
async function see(name) {
  const path = new URL(page.url()).pathname + new URL(page.url()).search;
  for (const [light, options] of [
    ["light", { colorScheme: "light", viewport: size }],
    ["dark", { colorScheme: "dark", viewport: size }],
    ["phone", { colorScheme: "light", viewport: { width: 360, height: 740 } }],
  ]) {
    const other = await browser.newContext({ ...options, ignoreHTTPSErrors: true, storageState });
    const view = await other.newPage();
    watch(view, `${name}, ${light}`, base);
    // A page that answered a form cannot be fetched again: it is copied.
    if (name.endsWith("-refused")) {
      await view.goto(`${base}/plugins`);
      const html = await page.content();
      await view.route("**/copy-of-the-page", (route) => route.fulfill({ body: html, contentType: "text/html" }));
      await view.goto(`${base}/copy-of-the-page`);
    } else {
      await view.goto(base + path);
    }
    await accessible(view, `${name}, ${light}`);
    const wide = await view.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    check(wide <= 0, `${name}, ${light}: ${wide} px wider than the screen`);
    await view.screenshot({ path: `${shots}/${name}-${light}.png`, fullPage: true });
    await other.close();
  }
}

async function until(what, seconds, holds) {
  const end = Date.now() + seconds * 1000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s; ${await content()}`);
    await page.waitForTimeout(200);
    await page.goto(page.url());
  }
}

const state = async () => (await page.textContent(".title .state")).trim();
const press = (text) => page.click(`main button:text-is("${text}")`);

await page.goto(`${base}/plugins`);
check(/megatec/.test(await content()), "the installed plugin is not listed");
await see("plugins");
await page.click('main td a:text-is("megatec") >> nth=0');
await until("the first plugin runs", 30, async () => (await state()) === "running");
check(/talk to the device on the serial line “ups”/.test(await content()), "no plain words of what it may do");
await press("Remove");
check(page.url() === `${base}/plugins`, "after the removal one is not on the list");

// Something that is no bundle, then a bundle.
await page.setInputFiles("#bundle", { name: "x.evkp", mimeType: "application/octet-stream", buffer: Buffer.from("no bundle") });
await press("Upload");
check(/the upload is refused/.test(await content()), "an upload that is no bundle is not refused");
await page.goto(`${base}/plugins`);
await page.setInputFiles("#bundle", bundle);
await press("Upload");
check(/\/bundles\/[0-9a-f]{64}$/.test(page.url()), `after the upload one is at ${page.url()}`);
check(/talk to the device on the serial line “ups”.*asks the UPS for its values/s.test(await content()),
  "the bundle's page does not say what it asks for and why");
await see("bundle");

// What is wrong is said beside its field; what was entered stays.
await page.fill("#points", "ups.0");
await page.fill('[name="setting.battery-low-v"]', "5000");
await page.check('[name="setting.no-ratings"]');
await page.check('[name="consent"]');
await press("Install");
for (const [field, words] of [["grant.serial.ups", /the serial line/], ["setting.battery-low-v", /1 to 999 V/]]) {
  const input = page.locator(`[name="${field}"]`);
  check((await input.getAttribute("aria-invalid")) === "true", `${field} is not marked`);
  const ids = ((await input.getAttribute("aria-describedby")) ?? "").split(" ");
  const said = await page.locator(`[id="${ids[0]}"]`).textContent();
  check(words.test(said), `${field}: ${said}`);
}
check(await page.isChecked('[name="setting.no-ratings"]'), "a switch is forgotten");
check((await page.inputValue("#points")) === "ups.0", "what was entered is forgotten");
await see("bundle-refused");
await page.fill('[name="grant.serial.ups"]', line);
await page.fill('[name="setting.battery-low-v"]', "");
await page.uncheck('[name="setting.no-ratings"]');
await page.check('[name="consent"]');
await press("Install");
check(page.url() === `${base}/plugins/megatec`, `after the installation one is at ${page.url()}`);
await until("it runs", 30, async () => (await state()) === "running");
const calls = async () => Number(await page.locator('dt:text-is("Calls") + dd').textContent());
await until("it is called", 30, async () => (await calls()) > 0);
await see("plugin");

// Pages were looked at for minutes: grants would ask for the password now.
await prove(page, base, password);
await page.goto(`${base}/plugins/megatec`);

// Settings of what is installed begin with what is in force.
await page.click("text=Change grants and settings");
check((await page.inputValue('[name="grant.serial.ups"]')) === line, "the grant is not shown again");
await page.check('[name="setting.no-identity"]');
await page.check('[name="consent"]');
await press("Save and restart it");
await until("it runs with its settings", 30, async () => (await state()) === "running");
await page.click("text=Change grants and settings");
check(await page.isChecked('[name="setting.no-identity"]'), "the setting is not kept");

// Another version, and back.
const version = () => page.textContent(".title h2");
await page.goto(`${base}/plugins`);
await page.setInputFiles("#bundle", nextBundle);
await press("Upload");
await page.check('[name="consent"]');
await press("Save and restart it");
await until("the next version runs", 30, async () => (await state()) === "running");
check(/0\.2\.0/.test(await version()), `not the next version: ${await version()}`);
await press("Back to the version before");
await until("the version before runs", 30, async () => (await state()) === "running");
check(!/0\.2\.0/.test(await version()), `not the version before: ${await version()}`);
await press("Switch off");
check((await state()) === "disabled", `it is not off: ${await state()}`);
await press("Switch on");
await until("it runs again", 30, async () => (await state()) === "running");
await press("Remove");
check(!(await page.locator('section >> nth=0').textContent()).includes("megatec"), "it is not removed");

// A page that is not there has a way out.
await page.goto(`${base}/plugins/ghost`);
check(/ghost/.test(await content()), "the missing plugin is not named");
await page.goto(`${base}/no/such/page`);
await page.click("text=Back to the live page");
check(new URL(page.url()).pathname === "/", "no way out of a page that is not there");

await browser.close();
finish(shots, "plugins", {});
