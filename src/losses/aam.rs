//! Additive margin on the angle.

use burn::tensor::Tensor;

/// Below this value 1 - cos^2 is rounding noise. The sine's slope there, infinite at |cos| = 1, is
/// taken as 0.
const SINE_FLOOR: f64 = 1e-12;

/// sin(theta) of cos(theta), any shape. Value and gradient are finite everywhere.
pub(super) fn sine(cosine: Tensor<2>) -> Tensor<2> {
    (cosine.clone() * cosine).neg().add_scalar(1.0).clamp_min(SINE_FLOOR).sqrt()
}

/// The margin m on cos(theta), any shape: cos(theta + m) while theta + m is below pi, that is while
/// cos(theta) > cos(pi - m), and cos(theta) - (1 + cos(pi - m)) beyond, where the two meet. With
/// `easy`: cos(theta + m) while cos(theta) > 0, and cos(theta) beyond.
///
/// The reference's gradient is NaN for an embedding parallel to its class. This one is finite.
pub(super) fn margin(cosine: Tensor<2>, margin: f64, easy: bool) -> Tensor<2> {
    let phi = cosine.clone() * margin.cos() - sine(cosine.clone()) * margin.sin();
    let threshold = (std::f64::consts::PI - margin).cos();
    let (inside, beyond) = match easy {
        true => (cosine.clone().greater_elem(0.0), cosine),
        false => (cosine.clone().greater_elem(threshold), cosine - (1.0 + threshold)),
    };
    beyond.mask_where(inside, phi)
}

/// cos(theta - m) of cos(theta), any shape: as if the angle were smaller by the margin m.
pub(super) fn nearer(cosine: Tensor<2>, margin: f64) -> Tensor<2> {
    cosine.clone() * margin.cos() + sine(cosine) * margin.sin()
}
