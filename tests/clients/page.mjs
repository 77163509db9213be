// Uses the page of a server as people do, in Debian's Chromium. Reads {"chromium", "url", "key",
// "prompt", "text" (what the server writes behind it, greedy, in 48 tokens), "chat", "shots" (a folder
// for pictures, or nothing)} from stdin, and runs the scenario that argv[2] names.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const given = JSON.parse(readFileSync(0, "utf8"));
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

/** Opens the page and has `use` act; whatever the browser complains of fails. */
async function visit(options, use) {
  const browser = await chromium.launch({ executablePath: given.chromium, args: ["--no-sandbox"] });
  try {
    const context = await browser.newContext({ viewport: DESKTOP, ...options });
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" && !options.refusals) complaints.push(message.text());
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(given.url)) complaints.push(`asks ${request.url()}`);
    });
    await page.goto(`${given.url}/`);
    await page.waitForFunction(() => document.getElementById("model").textContent.length > 3);
    await use(page);
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
}

async function shoot(page, name) {
  if (given.shots) await page.screenshot({ path: join(given.shots, `${name}.png`), fullPage: true });
}

const idle = (page) => page.waitForSelector("#go:not([disabled])");
const written = (page, lane = 0) =>
  page.locator(".written").nth(lane).evaluate((element) => {
    const [prompt, text, tail] = [...element.children].map((child) => child.textContent);
    return { prompt, text, tail };
  });

/** By the keyboard alone. */
async function complete(page, fields = {}) {
  await page.focus("#prompt");
  await page.keyboard.press("Control+A");
  await page.keyboard.insertText(given.prompt);
  for (const [name, value] of Object.entries({ max_tokens: 48, ...fields })) {
    const field = page.locator(`[name=${name}]`);
    if ((await field.evaluate((element) => element.tagName)) === "SELECT") {
      await field.selectOption(value);
    } else await field.fill(String(value));
  }
  await page.focus("#prompt");
  const runs = await page.evaluate(() => document.body.dataset.runs);
  await page.keyboard.press("Control+Enter");
  await page.waitForFunction((before) => document.body.dataset.runs !== before, runs);
}

async function fits(page) {
  const wide = await page.evaluate(() => {
    const root = document.scrollingElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    return [...document.querySelectorAll("body *")]
      .filter((element) => element.getBoundingClientRect().right > root.clientWidth)
      .map((element) => `${element.tagName}.${element.className}#${element.id}`);
  });
  assert.deepEqual(wide, []);
}

async function inked(page, selector) {
  return page.locator(selector).first().evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value) => value > 0);
  });
}

const scenarios = {
  async completion() {
    for (const options of [{}, { viewport: PHONE, hasTouch: true, isMobile: true },
                           { colorScheme: "dark", reducedMotion: "reduce" }]) {
      await visit(options, async (page) => {
        await complete(page);
        await idle(page);
        assert.deepEqual(await written(page),
                         { prompt: given.prompt, text: given.text, tail: "" });
        assert.ok((await page.locator(".right").count()) > 0);
        assert.ok((await page.locator(".written .chosen").count()) > 0);
        assert.match(await page.locator(".told").textContent(), /Exactly the text of autoregressive/);
        assert.ok(await inked(page, "#picture"));
        assert.ok(await inked(page, "#plot canvas"));
        await fits(page);
        const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const dark = Number(/\d+/.exec(paper)[0]) < 128;
        assert.equal(dark, options.colorScheme === "dark");
        await shoot(page, `completion-${options.viewport ? "phone" : options.colorScheme ?? "desktop"}`);
      });
    }
  },

  async passes() {
    await visit({}, async (page) => {
      await complete(page, { pace: "8" });
      await page.waitForSelector(".maybe");
      await page.waitForFunction(() => document.querySelectorAll(".written [data-pass]").length > 12);
      await shoot(page, "streaming");
      const tail = await written(page);
      assert.ok(given.text.startsWith(tail.text) && tail.tail !== "");
      await page.keyboard.press("Escape");
      await idle(page);
      assert.match(await page.locator(".told").textContent(), /Stopped|limit/);
      await complete(page, { pace: "0" });
      await idle(page);
      await page.focus("#scrub");
      for (const key of ["Home", "ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
      assert.match(await page.locator("#pass-number").textContent(), /^3 of \d+ · /);
      const marked = await page.locator(".marked").allTextContents();
      assert.ok(marked.length > 0);
      assert.match(await page.locator("#caption").textContent(), new RegExp(`${marked.length} token`));
      await page.locator(".written [data-pass='2']").first().click();
      assert.match(await page.locator("#pass-number").textContent(), /^2 of/);
    });
  },

  async race() {
    await visit({}, async (page) => {
      await page.locator("[name=mode][value=race]").check({ force: true });
      await complete(page, { temperature: 0.8, seed: 7 });
      await page.waitForSelector(".verdict");
      assert.match(await page.locator(".verdict").textContent(), /^Same text: yes\. [\d.]+ times/);
      assert.equal((await written(page, 0)).text, (await written(page, 1)).text);
      await shoot(page, "race");
    });
  },

  async live() {
    for (const options of [{}, { viewport: PHONE, hasTouch: true, isMobile: true }]) {
      await visit(options, async (page) => {
        await page.waitForFunction(() =>
          /^0 tokens\/s · 0 at work, 0 waiting · 0 % of pages$/.test(
            document.getElementById("live").textContent));
        await complete(page);
        await page.waitForFunction(() =>
          /^[1-9]\d* tokens\/s/.test(document.getElementById("live").textContent));
        await idle(page);
        assert.ok(await inked(page, "#live-plot canvas"));
        await fits(page);
        await shoot(page, options.viewport ? "live-phone" : "live");
      });
    }
  },

  async wrong() {
    await visit({ refusals: true }, async (page) => {
      await complete(page, { seed: "", max_tokens: 4 });
      await idle(page);
      await page.locator("#prompt").fill("1 + ".repeat(2000));
      await page.keyboard.press("Control+Enter");
      await page.waitForSelector("#error:not([hidden])");
      assert.match(await page.locator("#error").textContent(), /^The prompt has .*\.$/);
      await shoot(page, "refused");
    });
  },

  async chat() {
    await visit({ refusals: true }, async (page) => {
      await page.locator("[name=mode][value=chat]").check({ force: true });
      await complete(page, { max_tokens: 12 });
      await page.waitForSelector("#error:not([hidden])");
      assert.match(await page.locator("#error").textContent(), /API key/);
      assert.equal(await page.evaluate(() => document.activeElement.id), "key");
      await page.keyboard.insertText(given.key);
      for (const lanes of [1, 2]) {
        await complete(page, { max_tokens: 12 });
        await idle(page);
        assert.equal(await page.locator(".asked").count(), lanes);
        assert.equal(await page.locator(".lane").count(), lanes);
      }
      assert.ok(await page.locator("#error").isHidden());
      assert.equal(await page.evaluate(() => sessionStorage.getItem("tidar.key")), given.key);
      assert.equal(await page.evaluate(() => localStorage.length), 0);
      await shoot(page, "chat");
      await page.click("#anew");
      assert.equal(await page.locator(".asked").count(), 0);
    });
  },
};

await scenarios[process.argv[2]]();
