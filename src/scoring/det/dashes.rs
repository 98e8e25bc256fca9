//! Dashed lines.

use crate::canvas::Spot;

/// Length of a dash and of the gap behind it, in pixels.
const LENGTHS: [f64; 2] = [9.0, 5.0];
/// More than rounding makes of a length.
const ROUNDING: f64 = 1e-6;

/// The dashes of a path.
pub(super) fn dashes(path: &[Spot]) -> Vec<Vec<Spot>> {
    let [dash, gap] = LENGTHS;
    let (mut all, mut current, mut walked) = (Vec::new(), Vec::new(), 0.0);
    for ends in path.windows(2) {
        let [(x0, y0), (x1, y1)] = [ends[0], ends[1]].map(|(x, y)| (f64::from(x), f64::from(y)));
        let length = (x1 - x0).hypot(y1 - y0);
        let steps = length.ceil() as usize;
        for step in 0..=steps {
            let part = step as f64 / steps.max(1) as f64;
            let between = |a: f64, b: f64| (a + part * (b - a)).round() as i32;
            let spot = (between(x0, x1), between(y0, y1));
            let at = (walked + part * length + ROUNDING) % (dash + gap);
            if at > dash + 2.0 * ROUNDING {
                all.push(std::mem::take(&mut current));
            } else if current.last() != Some(&spot) {
                current.push(spot);
            }
        }
        walked += length;
    }
    all.push(current);
    all.retain(|dash| dash.len() > 1);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_lie_on_the_path_with_gaps_between_them() {
        let path = [(0, 0), (40, 0), (40, 30)];
        let all = dashes(&path);
        // 70 pixels are five times a dash and a gap.
        assert_eq!(all.len(), 5, "{all:?}");
        assert_eq!((all[0][0], all[0].last()), ((0, 0), Some(&(9, 0))));
        assert!(all.iter().flatten().all(|&(x, y)| y == 0 || x == 40), "{all:?}");
        let far = |(a, b): (Spot, Spot)| (a.0 - b.0).abs() + (a.1 - b.1).abs();
        for pair in all.windows(2) {
            let gap = far((pair[0][pair[0].len() - 1], pair[1][0]));
            assert!((5..=6).contains(&gap), "{pair:?}");
        }
        assert!(dashes(&[]).is_empty() && dashes(&[(3, 3)]).is_empty());
        assert!(dashes(&[(3, 3), (3, 3)]).is_empty());
    }
}
