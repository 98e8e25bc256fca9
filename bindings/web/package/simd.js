// Whether this browser runs vector instructions of WebAssembly.

// (module (func (result v128) (i8x16.popcnt (i8x16.splat (i32.const 0)))))
const MODULE = Uint8Array.of(
  0,
  97,
  115,
  109,
  1,
  0,
  0,
  0, // "\0asm", version 1
  1,
  5,
  1,
  96,
  0,
  1,
  123, // a type: nothing to v128
  3,
  2,
  1,
  0, // a function of this type
  10,
  10,
  1,
  8,
  0, // its body
  65,
  0,
  253,
  15,
  253,
  98,
  11, // i32.const 0, i8x16.splat, i8x16.popcnt, end
);

export function hasSimd() {
  return typeof WebAssembly === "object" && WebAssembly.validate(MODULE);
}
