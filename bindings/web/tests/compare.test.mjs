// Two recordings: the page's answers are the program's.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";

import { answered, drop, launch, open, serve, timed } from "./site.mjs";
import {
  beside,
  compared,
  FOLDER,
  leastAlike,
  MODEL,
  revox,
  samples,
  speakers,
  write,
} from "./sounds.mjs";

let site, browser, voices;

before(async () => {
  voices = speakers();
  site = await serve();
  browser = await launch();
});

after(async () => {
  await browser.close();
  await site.close();
});

const near = (a, b, most) => assert.ok(Math.abs(a - b) <= most, `${a} and ${b}`);

/** The page says what the program says. */
function agree({ score, answer, doubts }, wanted) {
  near(score, wanted.score, 1e-5);
  assert.equal(answer, wanted.same_speaker ? "The same voice." : "Different voices.");
  const bare = (warning) => warning.replace(/^[^:]*: /, "").replace(/\.$/, "");
  assert.deepEqual(doubts.map(bare), wanted.warnings.map(bare));
}

test("scores, decisions and warnings are those of the program, at any rate", async () => {
  const [[first, second], ...others] = voices;
  const other = leastAlike(first, others.flat());
  const pairs = [
    [first, second],
    [first, other],
  ];
  for (const rate of [8000, 11_025, 44_100, 48_000]) {
    const twice = [first, other].map((path, i) => {
      // The voice becomes another one; both sides hear the same.
      const all = samples(path);
      const stretched = Int16Array.from(
        { length: Math.floor((all.length * rate) / 16_000) },
        (_, k) => all[Math.floor((k * 16_000) / rate)],
      );
      return write(`${i}-${rate}.wav`, stretched, rate);
    });
    pairs.push(twice);
  }
  const answers = new Set();
  for (const [a, b] of pairs) {
    const { page, context, errors } = await open(browser, site.address);
    await page.locator("#first input[type=file]").setInputFiles(a);
    await drop(page, "#second", b);
    const said = await answered(page);
    agree(said, compared(MODEL, a, b));
    answers.add(said.answer);
    assert.match(await page.locator("#second .wave path").getAttribute("d"), /^M.*V/);
    assert.deepEqual(errors, []);
    await context.close();
  }
  assert.equal(answers.size, 2);
});

test("the first answer comes within 2 s of opening the page", async () => {
  const [[first, second]] = voices;
  const all = [];
  for (let i = 0; i < 3; i += 1) {
    const { page, context } = await open(browser, undefined);
    const { wall, cpu, took } = await timed(async () => {
      await page.goto(site.address);
      await page.locator("#first .choose:enabled").waitFor();
      await page.locator("#first input[type=file]").setInputFiles(first);
      await drop(page, "#second", second);
      await answered(page);
    });
    console.log(`first answer after ${wall.toFixed(0)} ms, ${cpu.toFixed(0)} ms of processor time`);
    all.push(took);
    await context.close();
  }
  assert.ok(Math.min(...all) < 2000, all.join());
});

test("nothing is asked for after loading", async () => {
  const [[first, second]] = voices;
  const { page, context, requests, errors } = await open(browser, site.address);
  await page.locator("#first input[type=file]").setInputFiles(first);
  await drop(page, "#second", second);
  await answered(page);

  // The worker that keeps the files for offline use fetches them once.
  await page.evaluate(() => navigator.serviceWorker.ready);
  const own = requests.filter((url) => !url.startsWith(site.address));
  assert.deepEqual(own, []);
  const [before, sent] = [site.asked.length, requests.length];
  await page.locator("#first input[type=file]").setInputFiles(second);
  await drop(page, "#second", first);
  await page.locator("#first .facts", { hasText: basename(second) }).waitFor();
  await answered(page);
  await page.locator("#name").fill("Ada");
  await page.locator("#enrol-file").setInputFiles(first);
  await page.locator("#voices li").waitFor();
  await page.waitForTimeout(300);
  assert.deepEqual(site.asked.slice(before), []);
  assert.deepEqual(requests.slice(sent), []);
  // The page's policy holds: nothing could be sent elsewhere.
  const refused = await page.evaluate(() => fetch("http://127.0.0.1:9/").then(() => "", String));
  assert.match(refused, /TypeError/);
  assert.ok(
    errors.every((error) => error.includes("Content Security Policy")),
    errors.join(),
  );
  assert.ok(errors.length > 0);
  await context.close();
});

test("without a network the page opens again and answers", async (t) => {
  const [[first, second]] = voices;
  const own = await serve();
  t.after(() => own.close());
  const { page, context, errors } = await open(browser, own.address);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await own.close();
  await page.reload();
  await page.locator("#first .choose:enabled").waitFor();
  await page.locator("#first input[type=file]").setInputFiles(first);
  await page.locator("#second input[type=file]").setInputFiles(second);
  agree(await answered(page), compared(MODEL, first, second));
  assert.deepEqual(errors, []);
  await context.close();
});

test("of several channels each can be heard", async () => {
  const [[first, second], [other]] = voices;
  const stereo = write("stereo.wav", beside(samples(first), samples(other)), 16_000, 2);
  const mono = write(
    "left.wav",
    samples(stereo).filter((_, i) => i % 2 === 0),
    16_000,
  );
  const { page, context } = await open(browser, site.address);
  await page.locator("#first input[type=file]").setInputFiles(stereo);
  await page.locator("#second input[type=file]").setInputFiles(second);
  await answered(page);
  const mixed = await page.locator("#verdict").getAttribute("data-score");
  await page.locator("#first select").selectOption({ label: "1 of 2" });
  await page.locator(`#verdict:not([data-score="${mixed}"])`).waitFor();
  agree(await answered(page), compared(MODEL, mono, second));
  await context.close();
});

test("browsers decode what revox does not", async () => {
  const [[first, second]] = voices;
  const opus = join(FOLDER, "first.opus");
  execFileSync("ffmpeg", ["-v", "error", "-y", "-i", first, "-b:a", "64k", opus]);
  const { page, context } = await open(browser, site.address);
  await page.locator("#first input[type=file]").setInputFiles(opus);
  await page.locator("#second input[type=file]").setInputFiles(second);
  near((await answered(page)).score, compared(MODEL, opus, second).score, 0.02);
  await context.close();
});

test("a calibrated model tells probabilities, at any prior", async () => {
  const calibrated = calibratedModel();
  const [[first, second]] = voices;
  const { page, context } = await open(browser, site.address);
  await page.locator("#first input[type=file]").setInputFiles(first);
  await page.locator("#second input[type=file]").setInputFiles(second);
  // Another probability than the last one means another verdict.
  const after = async (action) => {
    const { probability } = await answered(page);
    await action();
    await page.locator(`#verdict:not([data-probability="${probability}"])`).waitFor();
  };
  await after(() => page.locator("#model-file").setInputFiles(calibrated));
  const wanted = compared(calibrated, first, second);
  const own = await answered(page);
  agree(own, wanted);
  near(own.probability, wanted.probability, 1e-5);
  await page.locator("#prior").fill("50");
  await page.locator("#prior").press("Tab");
  const even = compared(calibrated, first, second, "--prior", "0.5");
  await page.locator(`#verdict:not([data-probability="${own.probability}"])`).waitFor();
  near((await answered(page)).probability, even.probability, 1e-5);
  agree(await answered(page), even);
  await after(() => page.locator("#shipped-model").click());
  agree(await answered(page), compared(MODEL, first, second, "--prior", "0.5"));
  await context.close();
});

/** The model with a calibration from scores that overlap. */
function calibratedModel() {
  const lines = Array.from({ length: 40 }, (_, i) =>
    i % 2 === 0
      ? `a${i} b${i} ${0.3 + 0.015 * i} target`
      : `a${i} b${i} ${-0.1 + 0.015 * i} nontarget`,
  );
  const scores = join(FOLDER, "scores");
  writeFileSync(scores, `${lines.join("\n")}\n`);
  const calibrated = join(FOLDER, "calibrated.safetensors");
  revox("calibrate", MODEL, "--scores", scores, "-o", calibrated);
  return calibrated;
}
