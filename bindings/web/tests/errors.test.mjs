// Bad input, other browsers, small screens: clear words.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { resnet34 } from "./resnet34.mjs";
import { answered, launch, open, serve, SITE, timed } from "./site.mjs";
import { FOLDER, samples, speakers, write } from "./sounds.mjs";

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

test("files that are no recording are refused in words, and others are taken after", async () => {
  const [[first, second]] = voices;
  const text = join(FOLDER, "notes.txt");
  writeFileSync(text, "no sound\n");
  const empty = join(FOLDER, "empty.wav");
  writeFileSync(empty, "");
  const cut = join(FOLDER, "cut.wav");
  writeFileSync(cut, readFileSync(first).subarray(0, 30));
  const half = join(FOLDER, "half.wav");
  writeFileSync(half, readFileSync(first).subarray(0, 40_001));
  const silence = write("silence.wav", new Int16Array(32_000), 16_000);
  const short = write("short.wav", samples(first).subarray(0, 300), 16_000);
  const none = write("none.wav", new Int16Array(0), 16_000);
  const { page, context, errors } = await open(browser, site.address);
  const put = (card, path) => page.locator(`${card} input[type=file]`).setInputFiles(path);
  const alert = page.locator("#first [role=alert]");
  await put("#second", second);
  for (const [path, words] of [
    [text, "“notes.txt” holds no sound that can be read here"],
    [empty, "“empty.wav” is empty."],
    [cut, "“cut.wav” holds no sound that can be read here"],
    [half, "“half.wav” holds no sound that can be read here"],
    [short, "shorter than one frame"],
    [none, "no samples"],
  ]) {
    await put("#first", path);
    await alert
      .filter({ hasText: words })
      .waitFor()
      .catch(async () => {
        assert.fail(`${path}: ${await alert.textContent()}`);
      });
    assert.equal(await page.locator("#answer").textContent(), "One more recording.");
  }
  await put("#first", silence);
  await page.locator("#because", { hasText: "silent" }).waitFor();
  assert.equal(await page.locator("#answer").textContent(), "No answer.");
  await put("#first", first);
  await answered(page);
  assert.equal(await alert.textContent(), "");
  assert.deepEqual(errors, []);
  await context.close();
});

test("voices need a name of their own, and speech", async () => {
  const [[first]] = voices;
  const { page, context } = await open(browser, site.address);
  const note = page.locator("#enrol-note");
  await page.locator("#enrol-record").click();
  await note.filter({ hasText: "First type the name." }).waitFor();
  await page.locator("#name").fill("Ada");
  const silence = write("quiet.wav", new Int16Array(32_000), 16_000);
  await page.locator("#enrol-file").setInputFiles(silence);
  await note.filter({ hasText: "silent" }).waitFor();
  await page.locator("#enrol-file").setInputFiles(first);
  await page.locator("#voices li").waitFor();
  await page.locator("#name").fill("Ada");
  await page.locator("#enrol-record").click();
  await note.filter({ hasText: "“Ada” is enrolled already." }).waitFor();
  await context.close();
});

test("models that are damaged or none are refused, and the old one stays", async () => {
  const [[first, second]] = voices;
  const model = readFileSync(join(SITE, "revox", "model.safetensors"));
  const cut = join(FOLDER, "cut.safetensors");
  writeFileSync(cut, model.subarray(0, 1000));
  const { page, context } = await open(browser, site.address);
  await page.locator("#model-file").setInputFiles(cut);
  await page.locator("#state.failed", { hasText: "The model: " }).waitFor();
  await page.locator("#first input[type=file]").setInputFiles(first);
  await page.locator("#second input[type=file]").setInputFiles(second);
  await answered(page);
  await context.close();
});

test("a browser without SIMD is told so before anything is loaded", async () => {
  const context = await browser.newContext();
  // As in a browser that does not know the instructions.
  await context.addInitScript(() => (WebAssembly.validate = () => false));
  const page = await context.newPage();
  const before = site.asked.length;
  await page.goto(site.address);
  await page.locator("#state.failed", { hasText: "SIMD" }).waitFor();
  assert.ok(await page.locator("#first .record").isDisabled());
  assert.ok(!site.asked.slice(before).some((path) => path.endsWith("model.safetensors")));
  await context.close();
});

test("a browser that cannot read the page's modules is told so", async () => {
  const context = await browser.newContext();
  await context.route("**/words.js", (route) =>
    route.fulfill({ contentType: "text/javascript", body: "class { #of the future" }),
  );
  const page = await context.newPage();
  await page.goto(site.address);
  await page.locator("#state.failed", { hasText: "too old" }).waitFor();
  await context.close();
});

test("the package refuses what it cannot take, by code", async () => {
  const [[first]] = voices;
  const whole = [...samples(first)];
  const { page, context } = await open(browser, site.address);
  const told = await page.evaluate(
    async ({ whole, newer }) => {
      const { hasSimd, load, RevoxError } = await import("./revox/index.js");
      const why = (promise) =>
        promise.then(
          () => "nothing",
          (error) => `${error instanceof RevoxError && error.code}: ${error.message}`,
        );
      const model = new Uint8Array(await (await fetch("./revox/model.safetensors")).arrayBuffer());
      const revox = await load({ model });
      const integers = Int16Array.from(whole);
      const floats = Float32Array.from(integers, (x) => x / 32768);
      const [a, b] = [await revox.hear(integers, 16_000), await revox.hear(floats, 16_000)];
      const same = a.embedding.every((x, i) => x === b.embedding[i]);
      const { score } = await revox.compare(a, b);
      await revox.release(a);
      const told = {
        hasSimd: hasSimd(),
        same,
        score,
        dim: a.embedding.length === revox.info.dim,
        array: await why(revox.hear([0, 0.5], 16_000)),
        doubles: await why(revox.hear(new Float64Array(9), 16_000)),
        nan: await why(revox.hear(Float32Array.of(0, NaN), 16_000)),
        resampled: await why(
          revox.hear(
            floats.map((x, i) => (i === 5000 ? NaN : x)),
            44_100,
          ),
        ),
        none: await why(revox.hear(new Float32Array(0), 16_000)),
        rate: await why(revox.hear(floats, 44_100.5)),
        low: await why(revox.hear(floats, 3)),
        released: await why(revox.compare(a, b)),
        prior: await why(revox.compare(b, b, { prior: 1 })),
        missing: await why(load({ model: "./nothing.safetensors" })),
        program: await why(load({ model, program: model.subarray(0, 99) })),
        cut: await why(load({ model: model.subarray(0, 5000) })),
        newer: await why(load({ model: Uint8Array.from(atob(newer), (c) => c.charCodeAt(0)) })),
      };
      const waiting = why(revox.hear(floats, 16_000));
      revox.close();
      return { ...told, waiting: await waiting, closed: await why(revox.hear(floats, 16_000)) };
    },
    { whole, newer: newer().toString("base64") },
  );
  const { hasSimd, same, score, dim, ...errors } = told;
  assert.deepEqual([hasSimd, same, dim], [true, true, true]);
  assert.ok(Math.abs(score - 1) < 1e-12);
  const wanted = {
    array: /^invalid: samples are a Float32Array/,
    doubles: /^invalid: samples are a Float32Array/,
    nan: /^invalid: .*sample 1 is NaN/,
    resampled: /^invalid: .*sample 5000 is NaN/,
    none: /^invalid: .*holds no samples/,
    rate: /^invalid: a rate is a positive whole number/,
    low: /^invalid: .*not a rate of audio/,
    released: /^invalid: another model heard the recording, or it was released/,
    prior: /^invalid: a prior lies between 0 and 1/,
    missing: /^no-file: the model is not at .*404/,
    program: /^invalid: the program is damaged, or none/,
    cut: /^invalid: the model: /,
    newer: /^invalid: the model: .*(newer|later|format 9)/,
    waiting: /^closed: /,
    closed: /^closed: the model was closed/,
  };
  assert.deepEqual(Object.keys(errors), Object.keys(wanted));
  for (const [name, pattern] of Object.entries(wanted)) assert.match(errors[name], pattern);
  await context.close();
});

test("three seconds are heard in half a second", async () => {
  const shipped = join(SITE, "revox", "model.safetensors");
  const models = { shipped, "4-bit ResNet34": resnet34() };
  const { page, context } = await open(browser, site.address);
  for (const [name, path] of Object.entries(models)) {
    await page.evaluate(
      async ({ bytes, samples }) => {
        const { load } = await import("./revox/index.js");
        const model = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
        const revox = await load({ model });
        window.hear = () => revox.hear(Int16Array.from(samples), 16_000);
      },
      { bytes: readFileSync(path).toString("base64"), samples: threeSeconds() },
    );
    const all = [];
    for (let i = 0; i < 8; i += 1) {
      all.push(await timed(() => page.evaluate(async () => void (await window.hear()))));
    }
    const list = (of) => all.map((one) => one[of].toFixed(0)).join(", ");
    console.log(`${name}: 3 s heard in ${list("wall")} ms, ${list("cpu")} ms of processor time`);
    assert.ok(Math.min(...all.map(({ took }) => took)) <= 500, list("took"));
  }
  await context.close();
});

/** The model, said to be of a later form. */
function newer() {
  const model = readFileSync(join(SITE, "revox", "model.safetensors"));
  const put = (before, text) => model.write(text, model.indexOf(before) + before.length, "latin1");
  put('\\"format\\":', "9");
  put('"sha256":"', "0".repeat(64));
  put('"sha256":"', createHash("sha256").update(model).digest("hex"));
  return model;
}

/** Three seconds of speech. */
function threeSeconds() {
  const all = voices[0].flatMap((path) => [...samples(path)]);
  return all.slice(0, 48_000);
}

test("the page fits a phone, and every control has a name and is reached by keyboard", async () => {
  const [[first, second]] = voices;
  const { page, context } = await open(browser, site.address, {
    viewport: { width: 320, height: 640 },
  });
  await page.locator("#first input[type=file]").setInputFiles(first);
  await page.locator("#second input[type=file]").setInputFiles(second);
  await answered(page);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 320, `${wide} px`);
  const small = await page
    .locator("button:visible")
    .evaluateAll((all) =>
      all.filter((button) => button.getBoundingClientRect().height < 44).map((b) => b.textContent),
    );
  assert.deepEqual(small, []);

  const controls = page.locator("button:enabled:visible, input:visible, select:visible");
  const wanted = await controls.count();
  const reached = new Set();
  for (let i = 0; i < 2 * wanted; i += 1) {
    await page.keyboard.press("Tab");
    const focus = await page.evaluate(() => {
      const { activeElement: element } = document;
      const label = element.labels?.[0]?.textContent ?? element.getAttribute("aria-label");
      const outline = getComputedStyle(element).outlineStyle;
      return {
        name: label ?? element.textContent,
        tag: element.tagName,
        outline,
        place: [...document.querySelectorAll("button, input, select")].indexOf(element),
      };
    });
    if (focus.place < 0) continue;
    assert.notEqual(focus.name.trim(), "");
    assert.notEqual(focus.outline, "none");
    reached.add(focus.place);
  }
  assert.equal(reached.size, wanted);
  await context.close();
});
