// Looks at every theme in Chromium, as people with different screens, settings and needs would, and prints what is wrong.
//
//     node look.mjs GALLERY MODULES SCREENSHOTS CHROMIUM
//
// GALLERY is the address of a running `pardon preview`, MODULES the folder that has node_modules.

import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [gallery, modules, screenshots, executablePath] = process.argv.slice(2);
const require = createRequire(join(modules, "node_modules", "x"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const LANGUAGES = ["en", "de", "ar"];
const WIDTHS = [360, 1280];
const SCHEMES = ["light", "dark"];
const REFERENCE = "7Q3K-0ZD8-MX4T-9A2C";
const PATIENCE = 15_000;
const SHEETS = 1;
// The first failure of a page that a visitor meets, and one after something was sent.
const CASES = ["502 app unreachable", "500 app failed, after a POST"];

const faults = [];
const looked = { pages: 0, axe: 0, copied: 0, screenshots: 0 };

/** What the gallery offers to choose: for each list the labels, whose places its addresses name. */
async function choices(browser) {
  const page = await browser.newPage();
  await page.goto(gallery, { timeout: PATIENCE });
  const lists = await page.$$eval("select", (all) =>
    all.map((one) => [one.name, [...one.options].map((option) => option.label)]),
  );
  await page.close();
  return Object.fromEntries(lists);
}

/** Opens a page and watches for whatever it would fetch and whatever its policy refuses. */
async function opened(context, address, name) {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const say = (what) => faults.push(`${name}: ${what}`);
  // A page that tries again by itself would be another one while it is looked at.
  let loads = 0;
  await page.route(address, (route) => (loads++ === 0 ? route.continue() : route.abort("aborted")));
  page.on("request", (request) => {
    const url = request.url();
    if (url !== address && !url.startsWith("data:")) say(`asks for ${url}`);
  });
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) say(`the console says ${message.text()}`);
  });
  page.on("pageerror", (error) => say(`a script fails: ${error}`));
  const response = await page.goto(address, { waitUntil: "load" });
  if (response.headers()["cache-control"] !== "no-store") say("can be stored");
  looked.pages += 1;
  return { page, say };
}

async function picture(page, name) {
  await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
  looked.screenshots += 1;
}

/** No sideways scrolling, no text that is cut off, and the reference where it can be read. */
async function fits({ page, say }) {
  const found = await page.evaluate((reference) => {
    const root = document.documentElement;
    const cut = [...document.body.querySelectorAll("*")].filter((element) => {
      const style = getComputedStyle(element);
      const hides = style.overflowX !== "visible" && style.position !== "absolute";
      return hides && element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 1;
    });
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const boxes = [];
    for (let text = texts.nextNode(); text; text = texts.nextNode()) {
      const parent = text.parentElement;
      if (!text.data.trim() || ["STYLE", "SCRIPT"].includes(parent.tagName)) continue;
      const range = document.createRange();
      range.selectNodeContents(text);
      const box = range.getBoundingClientRect();
      const hidden = !parent.checkVisibility() || parent.closest(".visually-hidden, .sr-only, [hidden]");
      if (!hidden && box.width > 1) boxes.push([text.data.trim().slice(0, 30), box.left, box.right]);
    }
    return {
      wide: root.scrollWidth > root.clientWidth ? [root.scrollWidth, root.clientWidth] : null,
      cut: cut.map((element) => element.outerHTML.slice(0, 80)),
      outside: boxes.filter(([, left, right]) => left < -1 || right > root.clientWidth + 1),
      squeezed: [...document.images].filter((image) => {
        const given = image.clientWidth / image.clientHeight;
        const own = image.naturalWidth / image.naturalHeight;
        return Math.abs(given / own - 1) > 0.05 && getComputedStyle(image).objectFit !== "contain";
      }).length,
      reference: document.body.innerText.replaceAll("\u2060", "").includes(reference),
    };
  }, REFERENCE);
  if (found.wide) say(`is ${found.wide[0]} pixels wide in a window of ${found.wide[1]}`);
  for (const element of found.cut) say(`cuts off ${element}`);
  for (const [text, left, right] of found.outside) say(`has text beyond the edge: ${text} (${left} to ${right})`);
  if (found.squeezed > 0) say("shows a logo out of proportion");
  if (!found.reference) say("does not show the reference");
}

/** What axe-core finds by the rules of WCAG 2.2 A and AA, and its best practices. */
async function accessible({ page, say }) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  looked.axe += 1;
  for (const violation of violations) {
    const where = violation.nodes.map((node) => `${node.target} ${node.any.map((it) => it.message).join("; ")}`);
    say(`axe: ${violation.id}: ${violation.help}: ${where.join(" | ")}`);
  }
}

/** Tab reaches each link and button once, in the order of the page, and each shows that it was reached. */
async function keyboard({ page, say }) {
  const inOrder = await page.evaluate(() => {
    const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")];
    const seen = all.filter((element) => element.checkVisibility() && !element.disabled);
    seen.forEach((element, place) => (element.dataset.place = place));
    return seen.length;
  });
  const reached = [];
  for (let step = 0; step < inOrder; step += 1) {
    await page.keyboard.press("Tab");
    const now = await page.evaluate(() => {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      const marked = style.outlineStyle !== "none" || style.boxShadow !== "none";
      return { place: element.dataset.place, marked, text: element.outerHTML.slice(0, 80) };
    });
    reached.push(Number(now.place));
    if (!now.marked) say(`shows no focus on ${now.text}`);
  }
  const expected = [...Array(inOrder).keys()];
  if (String(reached) !== String(expected)) say(`Tab goes to ${reached}, not to ${expected}`);
}

/** The button beside the reference puts it on the clipboard, and says so. */
async function copies({ page, say }) {
  const button = page.locator("button:visible");
  if ((await button.count()) === 0) return say("has no button that copies the reference");
  await button.first().click();
  try {
    await page.waitForFunction((id) => navigator.clipboard.readText().then((text) => text === id), REFERENCE);
    looked.copied += 1;
  } catch {
    const text = await page.evaluate(() => navigator.clipboard.readText());
    say(`the button has copied ${JSON.stringify(text)}`);
  }
}

/** As people see it who look at it on each screen, in each scheme, magnified to 400 %, in forced colours, and on paper. */
async function look(browser, theme, address, language) {
  const name = (how) => `${theme}-${language}-${how}`;
  const context = await browser.newContext({ reducedMotion: "reduce" });
  const { page, say } = await opened(context, address, name("any"));
  const [lang, dir] = await page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]);
  if (lang !== language || dir !== (language === "ar" ? "rtl" : "ltr")) say(`says lang=${lang} dir=${dir}`);
  const seen = async (how, width, height, media) => {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ media: "screen", forcedColors: "none", ...media });
    const it = { page, say: (what) => faults.push(`${name(how)}: ${what}`) };
    await fits(it);
    await picture(page, name(how));
    return it;
  };
  for (const colorScheme of SCHEMES) {
    for (const width of WIDTHS) {
      const it = await seen(`${width}-${colorScheme}`, width, width < 600 ? 740 : 800, { colorScheme });
      if (width === WIDTHS[0]) await accessible(it);
    }
  }
  await seen("zoomed", 320, 256, { colorScheme: "light" });
  await seen("forced", 1280, 800, { forcedColors: "active" });
  await seen("print", 720, 1000, { media: "print", colorScheme: "light" });
  const paper = await page.pdf({ format: "A4" });
  const sheets = paper.toString("latin1").match(/\/Type\s*\/Page\b/g)?.length;
  if (!(sheets <= SHEETS)) say(`takes ${sheets} sheets of paper`);
  await context.close();
}

/** As it is worked by keyboard and mouse: a page that does not try again by itself meanwhile. */
async function work(browser, theme, address, language) {
  const permissions = ["clipboard-read", "clipboard-write"];
  const context = await browser.newContext({ permissions, reducedMotion: "reduce" });
  const it = await opened(context, address, `${theme}-${language}-worked`);
  await keyboard(it);
  await copies(it);
  await context.close();
}

/** As it is where scripts do not run. */
async function lookWithoutScript(browser, theme, address, language) {
  const name = `${theme}-${language}-noscript`;
  const context = await browser.newContext({ viewport: { width: 360, height: 740 }, javaScriptEnabled: false });
  const { page, say } = await opened(context, address, name);
  if (!(await page.innerText("body")).includes(REFERENCE)) say("does not show the reference");
  const dead = await page.locator("button:visible").count();
  if (dead > 0) say(`has ${dead} buttons that do nothing`);
  await picture(page, name);
  await context.close();
}

async function main() {
  mkdirSync(screenshots, { recursive: true });
  const browser = await chromium.launch({
    executablePath,
    // Containers have little shared memory and, run as root, no sandbox of Chromium's.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
    timeout: PATIENCE,
  });
  try {
    const { book, language, case: cases } = await choices(browser);
    const address = (theme, tag, failure) =>
      `${gallery}page?case=${cases.indexOf(failure)}&book=${book.indexOf(theme)}&format=0&language=${language.indexOf(tag)}&scheme=0`;
    for (const wanted of CASES) if (!cases.includes(wanted)) faults.push(`there is no case ${wanted}`);
    const works = [];
    for (const theme of book) {
      const short = theme.split(", ").at(-1);
      for (const tag of LANGUAGES) {
        const [failure, sent] = CASES;
        works.push(() => look(browser, short, address(theme, tag, failure), tag));
        works.push(() => work(browser, short, address(theme, tag, sent), tag));
        works.push(() => lookWithoutScript(browser, short, address(theme, tag, sent), tag));
      }
    }
    // A few at a time: a browser that waits for one page draws another.
    const worker = async () => {
      for (let next = works.shift(); next; next = works.shift()) await next();
    };
    await Promise.all([worker(), worker(), worker()]);
    console.log(JSON.stringify({ themes: book.length, ...looked }));
  } finally {
    await browser.close();
  }
  for (const fault of faults) console.log(fault);
  process.exitCode = faults.length === 0 ? 0 : 1;
}

await main();
