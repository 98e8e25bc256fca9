//! Products of bytes with AVX-512 VNNI.

#![allow(unsafe_code, reason = "there are vector instructions for products of bytes")]

use std::arch::x86_64::*;
use std::mem::transmute;

/// Rows that are multiplied at a time.
pub(super) const ROWS: usize = 6;
/// Members that they are multiplied with: four vectors of sums.
pub(super) const COLUMNS: usize = 64;
/// Vectors of 16 sums of a row.
const VECTORS: usize = COLUMNS / 16;

/// Four values of each row. They are bytes without a sign, the first one lowest.
pub(super) type Tile = [i32; ROWS];

/// Four values of each member of a panel.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Panel(pub [[i8; 4]; COLUMNS]);

impl Panel {
    pub const ZERO: Self = Self([[0; 4]; COLUMNS]);
}

/// Sums of products of each row with each member.
pub(super) type Sums = [[i32; COLUMNS]; ROWS];

/// Whether the processor has the instructions.
pub(in super::super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

/// Multiplies rows with the members of a panel.
///
/// # Panics
/// If the processor lacks the instructions, or the rows and the members have not equally many
/// values.
pub(super) fn multiply(rows: &[Tile], members: &[Panel]) -> Sums {
    assert!(is_available(), "no instructions for products of bytes");
    assert_eq!(rows.len(), members.len(), "vectors of another dimension");
    // SAFETY: the processor has the instructions.
    unsafe { with_512_bits(rows, members) }
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn with_512_bits(rows: &[Tile], members: &[Panel]) -> Sums {
    // Without loops over them, so that all are registers.
    let mut sums = [[_mm512_setzero_si512(); VECTORS]; ROWS];
    for (row, panel) in rows.iter().zip(members) {
        // SAFETY: both are as many whole numbers without gaps.
        let values = unsafe { transmute::<[[i8; 4]; COLUMNS], [__m512i; VECTORS]>(panel.0) };
        sums = [
            plus(sums[0], row[0], values),
            plus(sums[1], row[1], values),
            plus(sums[2], row[2], values),
            plus(sums[3], row[3], values),
            plus(sums[4], row[4], values),
            plus(sums[5], row[5], values),
        ];
    }
    // SAFETY: as above.
    unsafe { transmute::<[[__m512i; VECTORS]; ROWS], Sums>(sums) }
}

/// Adds the products of four values of a row.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn plus(sums: [__m512i; VECTORS], four: i32, values: [__m512i; VECTORS]) -> [__m512i; VECTORS] {
    let four = _mm512_set1_epi32(four);
    [
        _mm512_dpbusd_epi32(sums[0], four, values[0]),
        _mm512_dpbusd_epi32(sums[1], four, values[1]),
        _mm512_dpbusd_epi32(sums[2], four, values[2]),
        _mm512_dpbusd_epi32(sums[3], four, values[3]),
    ]
}
