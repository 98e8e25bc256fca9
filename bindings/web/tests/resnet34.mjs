// A ResNet34 for tests of time.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { FOLDER, revox } from "./sounds.mjs";

/** The file of a ResNet34 of 4 bits a weight. Random weights take the time of trained ones. */
export function resnet34() {
  const checkpoint = join(FOLDER, "checkpoint.safetensors");
  writeFileSync(checkpoint, safetensors(tensors()));
  const [whole, small] = ["whole", "small"].map((name) => join(FOLDER, `${name}.safetensors`));
  revox("import", checkpoint, "--arch", "resnet34", "-o", whole);
  revox("quantize", whole, "--method", "kmeans", "--bits", "4", "-o", small);
  return small;
}

/** Its tensors, by WeSpeaker's names: shapes and values. */
function tensors() {
  const all = new Map();
  const add = (name, shape, value) => {
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, value);
    all.set(name, { shape, values });
  };
  let state = 1;
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0) / 2 ** 31;
  const weights = (name, shape) => {
    const inputs = shape.slice(1).reduce((a, b) => a * b);
    add(`${name}.weight`, shape, () => random() / Math.sqrt(inputs));
  };
  const norm = (name, size) => {
    for (const part of ["weight", "running_var"]) add(`${name}.${part}`, [size], () => 1);
    for (const part of ["bias", "running_mean"]) add(`${name}.${part}`, [size], () => 0);
  };
  weights("conv1", [32, 1, 3, 3]);
  norm("bn1", 32);
  let input = 32;
  for (const [stage, blocks] of [3, 4, 6, 3].entries()) {
    const output = 32 << stage;
    for (let block = 0; block < blocks; block += 1) {
      const name = `layer${stage + 1}.${block}`;
      weights(`${name}.conv1`, [output, input, 3, 3]);
      norm(`${name}.bn1`, output);
      weights(`${name}.conv2`, [output, output, 3, 3]);
      norm(`${name}.bn2`, output);
      if (input !== output) {
        weights(`${name}.shortcut.0`, [output, input, 1, 1]);
        norm(`${name}.shortcut.1`, output);
      }
      input = output;
    }
  }
  weights("seg_1", [256, 5120]);
  add("seg_1.bias", [256], () => 0);
  return all;
}

/** A file of these tensors. */
function safetensors(all) {
  const header = {};
  let place = 0;
  for (const [name, { shape, values }] of all) {
    const end = place + values.byteLength;
    header[name] = { dtype: "F32", shape, data_offsets: [place, end] };
    place = end;
  }
  const text = JSON.stringify(header);
  const padded = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(padded.length));
  const data = [...all.values()].map(({ values }) => Buffer.from(values.buffer));
  return Buffer.concat([size, padded, ...data]);
}
