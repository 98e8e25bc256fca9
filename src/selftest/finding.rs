//! The comparisons of a case.

/// One comparison.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What was compared.
    pub what: String,
    /// The largest difference as a fraction of the largest value, or the number of differences.
    pub error: f64,
    /// The largest error allowed.
    pub tolerance: f64,
}

impl Finding {
    /// Whether the error is small enough. NaN is not.
    pub fn passed(&self) -> bool {
        self.error <= self.tolerance
    }

    /// The error as a fraction of the tolerance, by which findings are sorted.
    pub fn severity(&self) -> f64 {
        match self.tolerance {
            _ if self.error.is_nan() => f64::INFINITY,
            0.0 if self.error == 0.0 => 0.0,
            tolerance => self.error / tolerance,
        }
    }
}

/// The findings of a case.
#[derive(Debug, Default)]
pub struct Findings {
    pub(super) list: Vec<Finding>,
}

impl Findings {
    /// Adds a finding.
    pub fn note(&mut self, what: impl Into<String>, error: f64, tolerance: f64) {
        self.list.push(Finding { what: what.into(), error, tolerance });
    }

    /// Compares values that may differ by rounding.
    pub fn near(&mut self, what: impl Into<String>, ours: &[f32], wanted: &[f32], tolerance: f64) {
        self.note(what, distance(ours, wanted, 0.0), tolerance);
    }

    /// Compares values that may not differ, and counts those that do.
    pub fn same<T: PartialEq>(&mut self, what: impl Into<String>, ours: &[T], wanted: &[T]) {
        let differ = match ours.len() == wanted.len() {
            true => ours.iter().zip(wanted).filter(|(a, b)| a != b).count(),
            false => ours.len().max(wanted.len()),
        };
        self.note(what, differ as f64, 0.0);
    }

    /// Compares named tensors. Differences are fractions of the tensor's largest value, or of a
    /// hundredth of the largest value of all tensors if that is more: a tensor may be small because
    /// large terms cancel, whose rounding errors remain.
    pub fn all_near(
        &mut self,
        what: &str,
        ours: &[(String, Vec<f32>)],
        wanted: &[(String, Vec<f32>)],
        tolerance: f64,
    ) {
        let names =
            |list: &[(String, Vec<f32>)]| list.iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
        self.same(format!("{what}: names"), &names(ours), &names(wanted));
        let least = 0.01 * wanted.iter().flat_map(|(_, v)| v).fold(0.0f32, |m, x| m.max(x.abs()));
        for ((name, ours), (_, wanted)) in ours.iter().zip(wanted) {
            self.note(format!("{what}: {name}"), distance(ours, wanted, least), tolerance);
        }
    }
}

/// Largest difference relative to the largest value, or to `least` if that is larger.
fn distance(a: &[f32], b: &[f32], least: f32) -> f64 {
    if a.len() != b.len() || a.is_empty() {
        return f64::INFINITY;
    }
    let largest = b.iter().fold(least.max(1e-30), |m, x| m.max(x.abs()));
    // `f32::max` ignores NaN.
    let worst = a
        .iter()
        .zip(b)
        .map(|(x, y)| (x - y).abs())
        .fold(0.0f32, |m, d| if d.is_nan() { d } else { m.max(d) });
    f64::from(if a.iter().any(|x| x.is_nan()) { f32::NAN } else { worst / largest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_found() {
        let mut findings = Findings::default();
        findings.near("", &[1.0, 2.0], &[1.0, 2.002], 1e-2);
        findings.near("", &[1.0, 2.0], &[1.0, 2.1], 1e-2);
        findings.near("", &[f32::NAN, 2.0], &[1.0, 2.0], 1e-2);
        findings.near("", &[2.0], &[1.0, 2.0], 1e-2);
        findings.near("", &[], &[], 1e-2);
        findings.same("", &[1, 2], &[1, 2]);
        findings.same("", &[1, 3], &[1, 2]);
        findings.same("", &[1], &[1, 2]);
        let passed: Vec<bool> = findings.list.iter().map(Finding::passed).collect();
        assert_eq!(passed, [true, false, false, false, false, true, false, false]);
        assert!(findings.list.iter().all(|f| f.passed() == (f.severity() <= 1.0)));
    }
}
