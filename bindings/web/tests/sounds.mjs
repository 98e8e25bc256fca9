// Recordings of the tests, and the program whose answers the page must give.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const PROGRAM = process.env.REVOX_PROGRAM;
/** The model that the page ships. */
export const MODEL = process.env.REVOX_MODEL;
export const FOLDER = mkdtempSync(join(tmpdir(), "revox-web-"));

/** What the program prints. */
export const revox = (...args) =>
  execFileSync(PROGRAM, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

/** What the program says of two recordings. */
export const compared = (...args) => JSON.parse(revox("compare", "--json", ...args));

/** Speakers of a synthetic corpus, each with the paths of recordings. */
export function speakers() {
  const corpus = join(FOLDER, "corpus");
  const sizes = ["--speakers", "2", "--dev-speakers", "6", "--utterances", "5", "--seconds", "3"];
  revox("synth", corpus, ...sizes);
  const lines = readFileSync(join(corpus, "dev", "spk2utt"), "utf8")
    .trim()
    .split("\n");
  return lines.map((line) => {
    const [speaker, ...all] = line.split(" ");
    return all.map((one) => join(corpus, "dev", "wav", speaker, `${one}.wav`));
  });
}

/** The recording that the program finds least like the first. */
export function leastAlike(first, all) {
  const scores = all.map((path) => compared(MODEL, first, path).score);
  return all[scores.indexOf(Math.min(...scores))];
}

/** The 16-bit samples of a WAV file with a plain header. */
export function samples(path) {
  const bytes = readFileSync(path);
  const data = bytes.indexOf("data") + 8;
  return new Int16Array(
    bytes.buffer.slice(bytes.byteOffset + data, bytes.byteOffset + bytes.length),
  );
}

/** Writes a WAV file of 16-bit samples, channels interleaved. */
export function write(name, samples, rate, channels = 1) {
  const bytes = Buffer.alloc(44 + 2 * samples.length);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(36 + 2 * samples.length, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(channels, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(2 * channels * rate, 28);
  bytes.writeUInt16LE(2 * channels, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(2 * samples.length, 40);
  samples.forEach((sample, i) => bytes.writeInt16LE(sample, 44 + 2 * i));
  const path = join(FOLDER, name);
  writeFileSync(path, bytes);
  return path;
}

/** Two recordings, sample beside sample. */
export function beside(left, right) {
  const length = Math.min(left.length, right.length);
  return Int16Array.from({ length: 2 * length }, (_, i) => [left, right][i % 2][i >> 1]);
}
