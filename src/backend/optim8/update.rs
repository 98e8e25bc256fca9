//! What a rule computes: its arithmetic, written once for numbers and for tensors.

/// What rules compute with: an f32, or a flat tensor of a backend.
///
/// The f32 form is what the vectorised path runs and what scalar Rust runs. The tensor form is the
/// plain twin on every backend. Tensors leave out what changes nothing, since each operation costs
/// them a pass over memory.
pub trait Value: Clone {
    /// `a * x + b * y`.
    fn blend(a: f32, x: Self, b: f32, y: Self) -> Self;

    /// `self + factor * other`. Tensors leave a factor of 0 out; `other` may have any type of
    /// floats.
    fn plus(self, factor: f32, other: &Self) -> Self;

    /// `factor * self`. Tensors leave a factor of 1 out.
    fn scaled(self, factor: f32) -> Self;

    /// `self + number`.
    fn raised(self, number: f32) -> Self;

    /// `self * other`.
    fn times(self, other: Self) -> Self;

    /// `self / other`.
    fn over(self, other: Self) -> Self;

    /// The square root.
    fn root(self) -> Self;

    /// -1, 0 or 1.
    fn sign(self) -> Self;

    /// The nearest finite value. A rule bounds its new moments: an infinite one would ruin its
    /// block of 8-bit codes for good. Moments in 32 bits stay as they are.
    fn bounded(self) -> Self;
}

impl Value for f32 {
    #[inline(always)]
    fn blend(a: f32, x: Self, b: f32, y: Self) -> Self {
        a * x + b * y
    }

    #[inline(always)]
    fn plus(self, factor: f32, other: &Self) -> Self {
        self + factor * other
    }

    #[inline(always)]
    fn scaled(self, factor: f32) -> Self {
        factor * self
    }

    #[inline(always)]
    fn raised(self, number: f32) -> Self {
        self + number
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self * other
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        self / other
    }

    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn sign(self) -> Self {
        f32::from(self > 0.0) - f32::from(self < 0.0)
    }

    #[inline(always)]
    fn bounded(self) -> Self {
        // `clamp` would also check for NaN.
        let x = if self > f32::MAX { f32::MAX } else { self };
        if x < f32::MIN { f32::MIN } else { x }
    }
}

/// One step of a rule that keeps `MOMENTS` moments of each parameter. Its numbers already include
/// the learning rate and the bias corrections.
///
/// The new parameter is `shrink * parameter - change`.
pub trait Update<const MOMENTS: usize>: Copy + Send + Sync + 'static {
    /// Factor of the parameter.
    #[inline(always)]
    fn shrink(&self) -> f32 {
        1.0
    }

    /// The change and the new moments.
    fn change<V: Value>(
        &self,
        parameter: &V,
        gradient: V,
        moments: [V; MOMENTS],
    ) -> (V, [V; MOMENTS]);
}
