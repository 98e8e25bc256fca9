//! Winograd's way against the plain twin.

use super::*;

/// Channels of input and output; rows and frames; zeros behind rows. Rows are few, even and odd;
/// parts are one and many, and end within rows; rows are shorter and longer than tiles.
const SIZES: [([usize; 2], [usize; 2], usize); 12] = [
    ([16, 16], [1, 1], 1),
    ([16, 17], [1, 60], 1),
    ([20, 23], [2, 47], 1),
    ([17, 16], [3, 5], 2),
    ([16, 40], [4, 48], 3),
    ([33, 21], [5, 49], 1),
    ([64, 16], [13, 95], 1),
    ([40, 16], [3, 1000], 5),
    ([130, 18], [9, 38], 1),
    ([16, 16], [40, 2], 1),
    ([96, 19], [2, 400], 1),
    ([64, 64], [8, 21], 1),
];

fn sized(channels: [usize; 2], size: [usize; 2], pad: usize) -> Case {
    Case { pad, ..case(channels, [3, 3], [1, 1], [1, 1], [1, 1], size) }
}

/// Weights of every kind: floats, and codes of 4 bits with one table or one for each output.
fn weights(case: &Case) -> [Weights; 3] {
    let Geometry { input, output, .. } = case.geometry;
    let mut stream = Stream::new(5, "codes", &[input as u64, output as u64]);
    let codes: Vec<u8> = (0..output * input * 9).map(|_| (stream.bits() % 16) as u8).collect();
    let coded = |tables: usize| Weights::Codes {
        bits: 4,
        codes: pack(&codes, 4),
        values: random("table", tables * 16),
        per_output: tables > 1,
    };
    [Weights::Floats(case.weights()), coded(1), coded(output)]
}

/// Sums of other products are rounded in other ways, so bits differ. In a simulation, both were at
/// most 1.2e-6 of the largest value from the sums in f64, and 1.4e-6 from each other.
#[test]
fn the_way_gives_what_the_definition_gives() {
    for (i, (channels, size, pad)) in SIZES.into_iter().enumerate() {
        let case = sized(channels, size, pad);
        let added = random("add", case.plane().rows * case.plane().width);
        let add = (i % 3 > 0).then_some(&added[..]);
        let (in_place, relu) = (i % 3 == 2, i % 2 == 0);
        for (kind, weights) in weights(&case).into_iter().enumerate() {
            for level in Level::available() {
                let Case { geometry, .. } = case;
                let (scale, shift) = (case.scale(), case.shift());
                let way =
                    Dense::new(weights.clone(), scale.clone(), shift.clone(), geometry, level);
                let direct = Dense::direct(weights.clone(), scale, shift, geometry, level);
                assert!(matches!(way.way, Way::Winograd(_)));
                assert!(matches!(direct.way, Way::Direct(_)));
                let found = case.found(&way, add, in_place, relu);
                let wanted = case.found(&direct, add, in_place, relu);
                let largest = wanted.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                for (at, (f, w)) in found.iter().zip(&wanted).enumerate() {
                    assert!(
                        (f - w).abs() <= 5e-6 * largest,
                        "{level:?}, {channels:?}, {size:?}, weights {kind}: value {at} is {f} \
                         instead of {w}",
                    );
                }
            }
        }
    }
}

/// A program may be planned in one pool of threads and run in another one.
#[test]
fn scratch_for_other_threads_will_do() {
    let pool = |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let (one, four) = (pool(1).unwrap(), pool(4).unwrap());
    for (channels, size, pad) in SIZES {
        let case = sized(channels, size, pad);
        let [_, weights, _] = weights(&case);
        let (scale, shift) = (case.scale(), case.shift());
        let dense = Dense::new(weights, scale, shift, case.geometry, Level::best());
        let (few, many) =
            (one.install(|| case.scratch(&dense)), four.install(|| case.scratch(&dense)));
        assert!(few.len() <= many.len() && many.len() <= 4 * few.len());
        let run = |scratch: Vec<f32>| bits(&case.found_with(&dense, None, false, true, scratch));
        let wanted = one.install(|| run(few.clone()));
        assert!(four.install(|| run(few)) == wanted, "{channels:?}, {size:?}");
        assert!(four.install(|| run(many.clone())) == wanted, "{channels:?}, {size:?}");
        assert!(one.install(|| run(many)) == wanted, "{channels:?}, {size:?}");
    }
}

/// Three rows of floats become four. Codes stay what they are.
#[test]
fn bytes_are_those_of_transformed_floats_or_of_codes() {
    let case = sized([16, 32], [10, 38], 1);
    let bytes = |weights: &Weights| {
        let (scale, shift) = (case.scale(), case.shift());
        Dense::new(weights.clone(), scale, shift, case.geometry, Level::best()).bytes()
    };
    let [floats, codes, _] = &weights(&case);
    assert_eq!(bytes(floats), 4 * (16 * 32 * 12 + 2 * 32));
    assert_eq!(bytes(codes), 16 * 32 * 9 / 2 + 8 + 4 * (16 + 2 * 32));
}

/// Only the geometry decides.
#[test]
fn other_convolutions_go_as_they_are_defined() {
    let of = |channels, kernel, stride, dilation, padding| {
        case(channels, kernel, stride, dilation, padding, [4, 4]).geometry
    };
    let (one, three) = ([1, 1], [3, 3]);
    assert!(Winograd::suits(&of([16, 16], three, one, one, one)));
    for geometry in [
        of([15, 64], three, one, one, one),
        of([64, 15], three, one, one, one),
        of([64, 64], one, one, one, one),
        of([64, 64], [3, 1], one, one, one),
        of([64, 64], [1, 3], one, one, one),
        of([64, 64], three, [2, 1], one, one),
        of([64, 64], three, [1, 2], one, one),
        of([64, 64], three, one, [2, 1], one),
        of([64, 64], three, one, one, [0, 1]),
        of([64, 64], three, one, one, [1, 0]),
    ] {
        assert!(!Winograd::suits(&geometry), "{geometry:?}");
    }
}
