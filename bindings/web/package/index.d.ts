/** An error, for programs by `code` and for people by `message`. */
export class RevoxError extends Error {
  /**
   * `no-simd`: the browser lacks vector instructions; `no-file`: the program or the model is not
   * there; `invalid`: what was given is wrong; `crashed`: the program stopped, load it anew;
   * `closed`: the model was closed before.
   */
  readonly code: "no-simd" | "no-file" | "invalid" | "crashed" | "closed";
}

/** Whether this browser has the vector instructions that the program needs. */
export function hasSimd(): boolean;

/** What a model says of itself. */
export interface ModelInfo {
  /** The name of its network. */
  readonly name: string;
  /** Values of an embedding. */
  readonly dim: number;
  /** The rate that its front-end takes, Hz. Recordings of others are resampled. */
  readonly sampleRate: number;
  /** SHA-256 of its file, in hex. */
  readonly hash: string;
  /** The score from which on it is the same voice, at the equal error rate. */
  readonly threshold?: number;
  /** Scores that so large a share of pairs of different voices reach; largest share first. */
  readonly thresholds: readonly { readonly rate: number; readonly threshold: number }[];
  /** Whether it makes probabilities of scores. */
  readonly isCalibrated: boolean;
  /** How probable one voice is before anything is heard, unless `compare` is told otherwise. */
  readonly prior: number;
}

/** Samples of a file, full scale 1. */
export interface Decoded {
  /** Samples per second. */
  readonly rate: number;
  readonly channels: readonly Float32Array[];
}

/** A recording that a model heard. */
export interface Heard {
  /** The embedding, `info.dim` values. */
  readonly embedding: Float32Array;
  /** Its length, s. */
  readonly seconds: number;
  /** How long somebody speaks, s. */
  readonly speechSeconds: number;
  /** Its level, dB relative to full scale. */
  readonly level: number;
  /** Share of samples that are clipped, 0 to 1. */
  readonly clipped: number;
  /** The frequency up to which it has sound, Hz. */
  readonly bandwidth: number;
  /** Whether its samples do not change. */
  readonly silent: boolean;
  /** What makes its scores less reliable. */
  readonly warnings: readonly string[];
}

/** What a model says of two recordings. */
export interface Comparison {
  /** The cosine of the embeddings, less the model's mean if it has one. */
  readonly score: number;
  /** The log-likelihood ratio, natural logarithm, of a calibrated model. */
  readonly llr?: number;
  /** The probability of one voice, 0 to 1, of a calibrated model. */
  readonly probability?: number;
  /** How probable one voice was before anything was heard, if there is a probability. */
  readonly prior?: number;
  /** The score from which on it is the same voice, where a threshold decides. */
  readonly threshold?: number;
  /** Whether it is the same voice. Undefined: the model has nothing to decide by. */
  readonly same?: boolean;
  /** Why it may mislead. */
  readonly warnings: readonly string[];
}

/** A model in a Web Worker. Calls are answered in their order. */
export interface Revox {
  readonly info: ModelInfo;
  /**
   * The samples of a WAV, FLAC, AIFF, CAF or SPHERE file, to the bit as the program `revox` reads
   * them. Let the browser's `decodeAudioData` decode others.
   */
  decode(bytes: ArrayBuffer | Uint8Array, name?: string): Promise<Decoded>;
  /** Hears samples of one channel: floats with full scale 1, or 16-bit integers. */
  hear(samples: Float32Array | Int16Array, rate: number): Promise<Heard>;
  /** Compares two recordings, as `revox compare` does. `prior` lies between 0 and 1. */
  compare(first: Heard, second: Heard, options?: { prior?: number }): Promise<Comparison>;
  /** Frees what was heard. It can be compared no more. */
  release(heard: Heard): Promise<void>;
  /** Ends the worker. */
  close(): void;
}

/** Loads a model: the one beside this file, or that of `model`, an address or a file's bytes. */
export function load(options?: {
  model?: string | URL | ArrayBuffer | Uint8Array;
  program?: string | URL | ArrayBuffer | Uint8Array;
}): Promise<Revox>;
