//! Vectors of f32: one module for each instruction set, all with the same names.
//!
//! | name | what it does |
//! |---|---|
//! | `Vector`, `LANES` | the type, and how many values it holds |
//! | `zero`, `splat` | zeros; one value in every lane |
//! | `load`, `store` | as many values as lanes |
//! | `load_part`, `store_part` | the first `count` of them; 0 in the other lanes |
//! | `fetch` | a hint that values at any pointer are read soon, where the set has one |
//! | `plus` | the sum of two vectors |
//! | `minus` | the difference of two vectors |
//! | `times` | the product of two vectors |
//! | `plus_product` | `sum + a * b`; rounded once where the set has such an instruction |
//! | `positive` | negative values become 0; -0 and NaN stay |
//!
//! Functions that take pointers want that many valid values there, without alignment. They are
//! inlined only into functions that have the same `target_feature`.

#![allow(unsafe_code, reason = "vector instructions, and values at pointers")]

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(super) mod simd128;

#[cfg(test)]
mod tests {
    /// What the functions of a set say they do.
    macro_rules! test {
        ($set:ident, [$($feature:meta)?]) => {{
            use super::$set::*;

            $(#[$feature])?
            fn check() {
                let values: Vec<f32> = (1..=LANES).map(|i| i as f32).collect();
                let stored = |vector: Vector| {
                    let mut to = vec![0.0; LANES];
                    // SAFETY: as many values as lanes.
                    unsafe { store(to.as_mut_ptr(), vector) };
                    to
                };
                // SAFETY: as above.
                let vector = unsafe { load(values.as_ptr()) };
                assert_eq!(stored(vector), values);
                assert_eq!(stored(zero()), vec![0.0; LANES]);
                assert_eq!(stored(plus(vector, splat(3.0)))[1], 5.0);
                assert_eq!(stored(minus(vector, splat(5.0)))[1], -3.0);
                assert_eq!(stored(plus_product(splat(3.0), vector, splat(-2.0)))[1], -1.0);
                assert_eq!(stored(positive(plus(vector, splat(-1.5))))[..2], [0.0, 0.5]);
                assert!(stored(positive(splat(f32::NAN)))[0].is_nan());
                assert!(stored(positive(splat(-0.0)))[0].is_sign_negative());
                assert_eq!(stored(times(vector, splat(-2.0)))[1], -4.0);
                fetch(values.as_ptr());
                for count in 1..=LANES {
                    let exact = values[..count].to_vec();
                    let mut to = vec![-1.0; LANES];
                    // SAFETY: no more values than there are.
                    let part = unsafe { load_part(exact.as_ptr(), count) };
                    // SAFETY: as above.
                    unsafe { store_part(to.as_mut_ptr(), vector, count) };
                    let filled = |rest: f32| {
                        let mut all = exact.clone();
                        all.resize(LANES, rest);
                        all
                    };
                    assert_eq!(stored(part), filled(0.0));
                    assert_eq!(to, filled(-1.0));
                }
            }
            // SAFETY: the processor was found to have the instructions.
            #[allow(unused_unsafe, reason = "where the set needs no instructions of its own")]
            unsafe {
                check();
            }
        }};
    }

    #[test]
    fn every_set_does_what_its_names_say() {
        test!(portable, []);
        #[cfg(target_arch = "x86_64")]
        if super::super::Level::Avx2.is_available() {
            test!(avx2, [target_feature(enable = "avx2,fma")]);
        }
        #[cfg(target_arch = "x86_64")]
        if super::super::Level::Avx512.is_available() {
            test!(avx512, [target_feature(enable = "avx512f")]);
        }
        #[cfg(target_arch = "aarch64")]
        if super::super::Level::Neon.is_available() {
            test!(neon, [target_feature(enable = "neon")]);
        }
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        if super::super::Level::Simd128.is_available() {
            test!(simd128, [target_feature(enable = "simd128")]);
        }
    }
}
