// The microphone: what it records is compared as the program does, and voices are named live.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { answered, drop, launch, open, serve } from "./site.mjs";
import { compared, FOLDER, leastAlike, MODEL, samples, speakers, write } from "./sounds.mjs";

let site, first, second, other;

before(async () => {
  const [own, ...others] = speakers();
  [first, second] = own;
  other = leastAlike(first, others.flat());
  site = await serve();
});

after(() => site.close());

/** A recording as Chromium's microphone plays it: over and over, without a pause. */
const played = (path) => write("played.wav", samples(path), 16_000);

test("recordings of a microphone have the scores that the program gives them", async (t) => {
  const browser = await launch({ sound: played(first) });
  t.after(() => browser.close());
  const { page, context, errors } = await open(browser, site.address);
  // By keyboard.
  await page.locator("#first .record").focus();
  await page.keyboard.press("Enter");
  await page.locator("#first .facts", { hasText: "Recording: 3 s" }).waitFor();
  assert.equal(await page.locator("#first .record").textContent(), "Stop");
  await page.keyboard.press("Enter");
  await page.locator("#first .facts", { hasText: "of speech" }).waitFor();
  await drop(page, "#second", second);
  const said = await answered(page);

  const saved = join(FOLDER, "saved.wav");
  const download = page.waitForEvent("download");
  await page.locator("#first .save").click();
  await (await download).saveAs(saved);
  const wanted = compared(MODEL, saved, second);
  assert.ok(Math.abs(said.score - wanted.score) <= 1e-5, `${said.score} and ${wanted.score}`);
  assert.ok(wanted.score > compared(MODEL, saved, other).score);
  assert.deepEqual(errors, []);
  await context.close();
});

test("who speaks is named every second", async (t) => {
  const browser = await launch({ sound: played(first) });
  t.after(() => browser.close());
  const { page, context, errors, requests } = await open(browser, site.address);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const [before, asked] = [requests.length, site.asked.length];
  for (const [name, path] of [
    ["Ada", first],
    ["Bo", other],
  ]) {
    await page.locator("#name").fill(name);
    await page.locator("#enrol-file").setInputFiles(path);
    await page.locator("#voices li", { hasText: name }).waitFor();
  }
  await page.locator("#listen").click();
  await page.locator("#speaker", { hasText: "Ada speaks." }).waitFor();
  const figures = await page.locator("#voices output").allTextContents();
  // Scores, or probabilities in percent: `100 %`.
  assert.ok(Number.parseFloat(figures[0]) > Number.parseFloat(figures[1]), figures.join());

  // Another recording takes the microphone; listening ends.
  await page.locator("#name").fill("Cleo");
  await page.locator("#enrol-record").click();
  await page.locator("#listen", { hasText: "Start listening" }).waitFor();
  await page.locator("#enrol-note", { hasText: "3 s" }).waitFor();
  await page.locator("#enrol-record").click();
  await page.locator("#voices li", { hasText: "Cleo" }).waitFor();
  await page.getByRole("button", { name: "Remove Ada" }).click();
  await page.locator("#listen").click();
  await page.locator("#speaker", { hasText: "Cleo speaks." }).waitFor();
  await page.locator("#listen").click();
  await page.locator("#speaker", { hasText: "Ready to listen." }).waitFor();
  assert.deepEqual(requests.slice(before), []);
  assert.deepEqual(site.asked.slice(asked), []);
  assert.deepEqual(errors, []);
  await context.close();
});

test("a microphone that is refused or missing is told in words", async (t) => {
  const browser = await launch();
  t.after(() => browser.close());
  const { page, context } = await open(browser, site.address);
  await page.locator("#first .record").click();
  await page.locator("#first [role=alert]", { hasText: "The microphone was refused." }).waitFor();
  assert.ok(await page.locator("#first .record").isEnabled());
  await page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () =>
      Promise.reject(new DOMException("none", "NotFoundError"));
  });
  await page.locator("#second .record").click();
  await page.locator("#second [role=alert]", { hasText: "No microphone was found." }).waitFor();
  await context.close();
});
