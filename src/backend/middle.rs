//! What separates neighbours.

/// The largest f32 that is not above the middle of two values. A number above this bound is nearer
/// to the higher value; the middle itself counts as the lower.
pub fn bound(low: f32, high: f32) -> f32 {
    let middle = (f64::from(low) + f64::from(high)) / 2.0; // exact: two f32 of similar size
    let near = middle as f32;
    if f64::from(near) > middle { near.next_down() } else { near }
}
