// Models in a Web Worker. Nothing that is heard leaves the page: the only requests are those for
// the program and the model, when a model is loaded.

import { RevoxError } from "./errors.js";
import { hasSimd } from "./simd.js";

export { hasSimd, RevoxError };

/** The program and the small model that revox ships, beside this file. */
const PROGRAM = new URL("./revox_web_bg.wasm", import.meta.url);
const MODEL = new URL("./model.safetensors", import.meta.url);

/** The program beside this file, compiled, once it is fetched. */
let compiled;

function shipped() {
  compiled ??= compile(PROGRAM).catch((error) => {
    compiled = undefined;
    throw error;
  });
  return compiled;
}

async function compile(program) {
  const bytes = await bytesOf(program, "the program");
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    throw new RevoxError("invalid", `the program is damaged, or none: ${error.message}`);
  }
}

/** Loads a model: the shipped one, or that of `model`, an address or a file's bytes. */
export async function load({ model = MODEL, program = PROGRAM } = {}) {
  if (!hasSimd()) {
    throw new RevoxError(
      "no-simd",
      "this browser lacks WebAssembly's vector instructions, which browsers have had since 2023",
    );
  }
  const [module, bytes] = await Promise.all([
    program === PROGRAM ? shipped() : compile(program),
    bytesOf(model, "the model"),
  ]);
  const revox = new Revox();
  try {
    Object.assign(revox, { info: await revox.call("open", { module, bytes }) });
  } catch (error) {
    revox.close();
    throw error;
  }
  return revox;
}

/** A model in its worker. */
class Revox {
  #worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  #waiting = new Map();
  /** What this model heard. Other models' numbers mean other recordings. */
  #heard = new WeakSet();
  #last = 0;
  #end = undefined;

  constructor() {
    this.#worker.onmessage = ({ data: { id, result, code, message } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (code === undefined) resolve(result);
      else reject(new RevoxError(code, message));
      if (code === "crashed") this.#stop(new RevoxError(code, "the program stopped: load it anew"));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const why = event.message || "its files are missing or damaged";
      this.#stop(new RevoxError("crashed", `the worker did not start: ${why}`));
    };
  }

  call(call, of) {
    if (this.#end) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => {
      const id = (this.#last += 1);
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, of });
    });
  }

  /** The channels of a WAV, FLAC, AIFF, CAF or SPHERE file, at its own rate. */
  async decode(bytes, name = "the recording") {
    return this.call("decode", { bytes: new Uint8Array(bytes), name });
  }

  /** Hears samples of one channel, at a rate in Hz. */
  async hear(samples, rate) {
    if (!Number.isInteger(rate) || rate <= 0) {
      throw new RevoxError("invalid", `a rate is a positive whole number of Hz, not ${rate}`);
    }
    const heard = await this.call("hear", { samples: floats(samples), rate });
    this.#heard.add(heard);
    return heard;
  }

  /** Whether two recordings that were heard have the same voice. */
  async compare(first, second, { prior } = {}) {
    if (![first, second].every((one) => this.#heard.has(one))) {
      throw new RevoxError("invalid", "another model heard the recording, or it was released");
    }
    return this.call("compare", { first: first.id, second: second.id, prior });
  }

  /** Frees what was heard. */
  async release(heard) {
    if (this.#heard.delete(heard)) await this.call("release", { id: heard.id });
  }

  /** Ends the worker. Calls that follow are errors. */
  close() {
    this.#stop(new RevoxError("closed", "the model was closed"));
  }

  #stop(why) {
    this.#end ??= why;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(this.#end);
    this.#waiting.clear();
  }
}

/** Samples as floats with full scale 1. Other arrays would be taken for something they are not. */
function floats(samples) {
  if (samples instanceof Float32Array) return samples;
  if (samples instanceof Int16Array) return Float32Array.from(samples, (x) => x / 32768);
  throw new RevoxError(
    "invalid",
    "samples are a Float32Array, full scale 1, or an Int16Array, of one channel",
  );
}

/** The bytes at an address, or those given. */
async function bytesOf(source, what) {
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) {
    return ArrayBuffer.isView(source)
      ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
      : new Uint8Array(source);
  }
  let response;
  try {
    response = await fetch(source);
  } catch {
    throw new RevoxError("no-file", `${what} cannot be fetched from ${source}`);
  }
  if (!response.ok) {
    throw new RevoxError("no-file", `${what} is not at ${source}: status ${response.status}`);
  }
  return new Uint8Array(await response.arrayBuffer());
}
