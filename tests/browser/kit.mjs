// What the scripts of this folder share: a distribution's Chromium, pages that
// are watched, and the checks that every page must pass.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const axeTags = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"];

export const problems = [];

export function check(holds, problem) {
  if (!holds) problems.push(problem);
}

export function launch(more = []) {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [...more, "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
}

// Nothing may go wrong in the page, and it asks nobody else for anything.
export function watch(page, name, base) {
  page.on("console", (m) => m.type() === "error" && !expected(m) && problems.push(`${name}: console: ${m.text()}`));
  page.on("pageerror", (e) => problems.push(`${name}: ${e}`));
  page.on("request", (r) =>
    check(r.url().startsWith(base) || r.url().startsWith("data:"), `${name}: foreign request ${r.url()}`),
  );
}

// A refusal is answered 4xx, which Chromium reports as an error.
function expected(message) {
  return /status of 4(0[1349]|22)/.test(message.text());
}

export async function accessible(page, name) {
  await page.evaluate(axe);
  const result = await page.evaluate((tags) => window.axe.run(document, { runOnly: tags }), axeTags);
  for (const v of result.violations) {
    problems.push(`${name}: axe ${v.id}: ${v.nodes.map((n) => n.target).join(", ")}`);
  }
}

// Claim the appliance with the first password and choose another one; returns it.
export async function signIn(page, base, firstPassword) {
  await page.goto(base);
  await page.fill("#password", firstPassword);
  await page.click("button");
  await page.waitForSelector("#new");
  const password = `${firstPassword}-and-more`;
  await page.fill("#old", firstPassword);
  await page.fill("#new", password);
  await page.fill("#again", password);
  await page.click("button >> nth=0");
  await page.waitForURL("**/setup");
  await page.goto(base);
  await page.waitForSelector("main");
  return password;
}

// Give the password again: what could do harm asks for it when it is old. The
// session has another cookie then.
export async function prove(page, base, password) {
  await page.goto(`${base}/step-up?to=/accounts`);
  await page.fill("#step-up", password);
  await page.click("button");
  await page.waitForURL("**/accounts");
}

// Prints and keeps what was found, and ends the script.
export function finish(shots, name, report) {
  const whole = { ...report, problems };
  mkdirSync(shots, { recursive: true });
  writeFileSync(`${shots}/${name}.json`, JSON.stringify(whole, null, 1));
  console.log(JSON.stringify(whole, null, 1));
  process.exit(problems.length === 0 ? 0 : 1);
}
