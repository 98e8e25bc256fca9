use super::kernel::Sums;
use super::*;
use crate::rng::Stream;
use crate::scoring::Embeddings;

/// Sums of products of bytes, one after the other.
fn plain(rows: &[Tile], members: &[Panel]) -> Sums {
    let mut sums = [[0; COLUMNS]; ROWS];
    for (row, panel) in rows.iter().zip(members) {
        for (sums, four) in sums.iter_mut().zip(row) {
            for (sum, member) in sums.iter_mut().zip(&panel.0) {
                let products = four.to_le_bytes().into_iter().zip(member);
                *sum += products.map(|(a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
            }
        }
    }
    sums
}

fn can_run() -> bool {
    if !is_available() {
        eprintln!("skipped: the processor has no instructions for products of bytes");
    }
    is_available()
}

#[test]
fn sums_are_those_of_the_plain_twin() {
    if !can_run() {
        return;
    }
    let mut stream = Stream::new(1, "test", &[]);
    for steps in [0, 1, 2, 7, 64, 129] {
        for extreme in [false, true] {
            let mut byte = || match extreme {
                true => [0, 127, 128, 255][stream.below(4)],
                false => stream.below(256) as u8,
            };
            let mut rows: Vec<Tile> = vec![[0; ROWS]; steps];
            let mut members = vec![Panel::ZERO; steps];
            for (row, panel) in rows.iter_mut().zip(&mut members) {
                row.fill_with(|| i32::from_le_bytes([byte(), byte(), byte(), byte()]));
                panel.0.as_flattened_mut().fill_with(|| byte() as i8);
            }
            assert!(multiply(&rows, &members) == plain(&rows, &members), "{steps} steps");
        }
    }
}

#[test]
fn no_cosine_exceeds_its_bound_and_bounds_are_close() {
    if !can_run() {
        return;
    }
    let mut stream = Stream::new(2, "test", &[]);
    for dim in [1, 3, 4, 64, 193, 256, 513] {
        let (mut all, count) = (Embeddings::new(dim), 150);
        for i in 0..count {
            // Some have one large value, which makes the step large.
            let mut row: Vec<f32> = (0..dim).map(|_| stream.normal() as f32).collect();
            row[stream.below(dim)] *= [1.0, 30.0][i % 2];
            all.push(&format!("u{i}"), &row).unwrap();
        }
        let scorer = Scorer::new(&all, None).unwrap();
        let (bytes, mut rows, mut packed) =
            (Bytes::of(&scorer), Rows::default(), Packed::default());
        let (mut bounds, members) = (Vec::new(), COLUMNS..count);
        for some in [1, 6, 17] {
            rows.fill(&scorer, 0..some);
            packed.fill(&rows);
            let stride = bytes.bounds(&packed, members.clone(), &mut bounds);
            assert_eq!(bounds.len(), some * stride);
            for (a, bounds) in bounds.chunks_exact(stride).enumerate() {
                for (b, &bound) in members.clone().zip(bounds) {
                    let over = f64::from(bound) - scorer.score(a, b);
                    // A step is at most 1/127, and a value is off by half of it.
                    let most = 4.0 * (dim as f64).sqrt() / 254.0 + 2e-5;
                    assert!((0.0..=most).contains(&over), "{dim} values: {over}");
                }
            }
        }
    }
}
