// A file server for the page, and Chromium with a microphone that plays a file.

import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

/** The folder that `check` builds. */
export const SITE = process.env.REVOX_SITE;

const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Serves the page on this machine. `asked` lists what was asked for. */
export async function serve() {
  const asked = [];
  const server = createServer(async ({ url }, response) => {
    const path = normalize(decodeURIComponent(new URL(url, "http://localhost").pathname));
    asked.push(path);
    try {
      const file = path.endsWith("/") ? `${path}index.html` : path;
      const content = await readFile(join(SITE, file));
      const type = TYPES[extname(file)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type }).end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    asked,
    address: `http://127.0.0.1:${server.address().port}/`,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Chromium. With `sound`, a WAV file, everybody may use a microphone that plays it. */
export function launch({ sound } = {}) {
  const args = ["--use-fake-device-for-media-stream", "--mute-audio"];
  if (sound) {
    args.push("--use-fake-ui-for-media-stream", `--use-file-for-fake-audio-capture=${sound}`);
  }
  // Nobody else's pages are opened, and sandboxes are not allowed to root.
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args });
}

/** A new page whose errors fail the test that looks at `errors`. */
export async function open(browser, address, options = {}) {
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(message.text());
  });
  const requests = [];
  // Saved recordings are no requests.
  page.on("request", (request) => {
    if (!request.url().startsWith("blob:")) requests.push(request.url());
  });
  page.setDefaultTimeout(60_000);
  if (address) {
    await page.goto(address);
    await page.locator("#first .choose:enabled").waitFor();
  }
  return { context, page, errors, requests };
}

/** Puts a file into a card as somebody does who drops it. */
export async function drop(page, card, path) {
  const bytes = readFileSync(path).toString("base64");
  await page.locator(card).evaluate(
    (element, { bytes, name }) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name));
      element.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
    },
    { bytes, name: basename(path) },
  );
}

/** The answer that the page shows. */
export async function answered(page) {
  await page.locator("#verdict.told").waitFor();
  const { score, probability } = await page
    .locator("#verdict")
    .evaluate((box) => ({ ...box.dataset }));
  const answer = await page.locator("#answer").textContent();
  const doubts = await page.locator("#doubt-list li").allTextContents();
  return { score: Number(score), probability: Number(probability), answer, doubts };
}

/** Ticks of processor time in a second, by Linux's /proc. */
const TICKS = 100;

/** Processor time, ms, of all processes that this one started: Chromium's. */
function busy() {
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const times = new Map();
  for (const pid of all) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat
        .slice(stat.lastIndexOf(")") + 2)
        .split(" ")
        .map(Number);
      // Its own in user and system, then that of its children which have ended.
      const time = fields[11] + fields[12] + fields[13] + fields[14];
      times.set(Number(pid), { parent: fields[1], time });
    } catch {
      // It has ended since.
    }
  }
  const isOurs = (pid) =>
    pid !== undefined && (pid === process.pid || isOurs(times.get(pid)?.parent));
  const ours = [...times].filter(([pid]) => pid !== process.pid && isOurs(pid));
  return (1000 / TICKS) * ours.reduce((sum, [, { time }]) => sum + time, 0);
}

/**
 * How long `work` takes, ms, on a machine that does nothing else: as long as it takes here, or the
 * processor time of the browser if that is less. Others may make it wait.
 */
export async function timed(work) {
  const [begun, worked] = [performance.now(), busy()];
  const result = await work();
  const [wall, cpu] = [performance.now() - begun, busy() - worked];
  return { result, wall, cpu, took: Math.min(wall, cpu) };
}
