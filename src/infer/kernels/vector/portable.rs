//! Arrays, of which the compiler makes what vectors the target has.

pub(in super::super) type Vector = [f32; LANES];
pub(in super::super) const LANES: usize = 4;

#[inline(always)]
pub(in super::super) fn zero() -> Vector {
    [0.0; LANES]
}

#[inline(always)]
pub(in super::super) fn splat(value: f32) -> Vector {
    [value; LANES]
}

#[inline(always)]
pub(in super::super) unsafe fn load(from: *const f32) -> Vector {
    // SAFETY: the caller vouches for the values.
    unsafe { from.cast::<Vector>().read_unaligned() }
}

#[inline(always)]
pub(in super::super) unsafe fn load_part(from: *const f32, count: usize) -> Vector {
    let mut values = [0.0; LANES];
    // SAFETY: the caller vouches for `count` values, which are at most as many as lanes.
    unsafe { from.copy_to_nonoverlapping(values.as_mut_ptr(), count) };
    values
}

#[inline(always)]
pub(in super::super) unsafe fn store(to: *mut f32, vector: Vector) {
    // SAFETY: the caller vouches for the place.
    unsafe { to.cast::<Vector>().write_unaligned(vector) }
}

#[inline(always)]
pub(in super::super) unsafe fn store_part(to: *mut f32, vector: Vector, count: usize) {
    // SAFETY: the caller vouches for `count` places, which are at most as many as lanes.
    unsafe { to.copy_from_nonoverlapping(vector.as_ptr(), count) }
}

#[inline(always)]
pub(in super::super) fn fetch(_from: *const f32) {}

#[inline(always)]
pub(in super::super) fn plus(mut a: Vector, b: Vector) -> Vector {
    for (a, b) in a.iter_mut().zip(b) {
        *a += b;
    }
    a
}

#[inline(always)]
pub(in super::super) fn minus(mut a: Vector, b: Vector) -> Vector {
    for (a, b) in a.iter_mut().zip(b) {
        *a -= b;
    }
    a
}

#[inline(always)]
pub(in super::super) fn times(mut a: Vector, b: Vector) -> Vector {
    for (a, b) in a.iter_mut().zip(b) {
        *a *= b;
    }
    a
}

#[inline(always)]
pub(in super::super) fn plus_product(mut sum: Vector, a: Vector, b: Vector) -> Vector {
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        *sum += a * b;
    }
    sum
}

#[inline(always)]
pub(in super::super) fn positive(vector: Vector) -> Vector {
    vector.map(|value| if value < 0.0 { 0.0 } else { value })
}
