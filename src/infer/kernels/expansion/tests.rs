//! Against the two convolutions one after the other.

use rayon::ThreadPoolBuilder;

use super::*;
use crate::backend::codes::pack;
use crate::infer::kernels::{Add, Geometry, Level, Weights};
use crate::rng::Stream;

/// An expansion, and the depthwise convolution behind it.
#[derive(Debug, Clone, Copy)]
struct Case {
    /// Channels of the input, and of the result.
    channels: [usize; 2],
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: [usize; 2],
}

fn random(name: &str, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(11, name, &[count as u64]);
    (0..count).map(|_| stream.between(-1.0, 1.0) as f32).collect()
}

fn case(channels: [usize; 2], size: [usize; 2]) -> Case {
    let (one, kernel) = ([1, 1], [3, 3]);
    Case { channels, size, kernel, stride: one, dilation: one, padding: one }
}

/// Strips of all rows and of a few, with rows left over; tasks of some blocks, the last not whole.
fn cases() -> Vec<Case> {
    let (wide, long) = (case([9, 21], [11, 290]), case([5, 12], [70, 30]));
    let flat = Case { kernel: [1, 7], padding: [0, 3], ..case([13, 30], [1, 1201]) };
    vec![
        wide,
        long,
        flat,
        case([16, 64], [40, 75]),
        case([3, 8], [1, 1]),
        case([4, 4], [2, 3]),
        Case { stride: [2, 2], ..wide },
        Case { stride: [2, 1], ..case([8, 17], [24, 301]) },
        Case { stride: [3, 2], ..long },
        Case { kernel: [5, 5], padding: [2, 2], ..wide },
        Case { kernel: [5, 3], padding: [4, 1], ..case([6, 9], [17, 400]) },
        Case { dilation: [3, 2], padding: [3, 2], ..case([6, 9], [40, 200]) },
        Case { padding: [0, 0], ..case([6, 16], [19, 160]) },
        Case { kernel: [1, 1], stride: [2, 1], padding: [0, 0], ..wide },
        // The kernel is larger than the input.
        Case { padding: [0, 0], ..case([6, 16], [2, 50]) },
    ]
}

impl Case {
    fn pad(&self) -> usize {
        self.padding[1].max(1)
    }

    /// Channels, rows and frames.
    fn input(&self) -> [usize; 3] {
        [self.channels[0], self.size[0], self.size[1]]
    }

    fn layers(&self, level: Level, is_packed: bool) -> (Dense, Depthwise) {
        let Self { channels: [input, output], kernel, stride, dilation, padding, .. } = *self;
        let one = [1, 1];
        let geometry =
            Geometry { input, output, kernel: one, stride: one, dilation: one, padding: [0, 0] };
        let codes: Vec<u8> = (0..input * output).map(|i| (i * 7 % 16) as u8).collect();
        let weights = match is_packed {
            false => Weights::Floats(random("weights", input * output)),
            true => Weights::Codes {
                bits: 4,
                codes: pack(&codes, 4),
                values: random("values", 16),
                per_output: false,
            },
        };
        let numbers = |name: &str| random(name, output);
        let dense = Dense::new(weights, numbers("scale"), numbers("shift"), geometry, level);
        let geometry = Geometry { input: 1, output: 1, kernel, stride, dilation, padding };
        let filters = random("filters", output * kernel[0] * kernel[1]);
        let (scale, shift) = (numbers("second scale"), numbers("second shift"));
        (dense, Depthwise::new(filters, scale, shift, output, geometry, level))
    }

    /// The input: zeros behind rows and in front of the first one, no numbers in guards.
    fn x(&self) -> Vec<f32> {
        let Self { channels: [channels, _], size: [mels, frames], .. } = *self;
        let mut x = vec![f32::NAN; GUARD];
        x[GUARD - self.pad()..].fill(0.0);
        for row in random("x", channels * mels * frames).chunks(frames) {
            x.extend(row);
            x.extend(vec![0.0; self.pad()]);
        }
        x.extend([f32::NAN; TAIL]);
        x
    }

    /// The result's memory before it is there.
    fn y(&self, depthwise: &Depthwise) -> Vec<f32> {
        let [rows, width] = depthwise.made(self.size);
        vec![7.0; Plane::of(&[self.channels[1], rows, width], self.pad()).buffer()]
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// The result, with guards, by one convolution after the other.
fn apart(case: &Case, dense: &Dense, depthwise: &Depthwise, relu: [bool; 2]) -> Vec<u32> {
    let Case { channels: [input, output], size: [mels, frames], .. } = *case;
    let (pad, add, x, mut y) = (case.pad(), Add::Nothing, case.x(), case.y(depthwise));
    let (size, made) = ([input, mels, frames], [output, mels, frames]);
    let mut between = vec![0.0; Plane::of(&made, pad).buffer()];
    let mut scratch = vec![f32::NAN; dense.scratch(size, pad)];
    let (to, scratch) = (&mut between[..], &mut scratch[..]);
    dense.run(Call { x: &x, size, pad, y: to, add, relu: relu[0], scratch });
    let (x, y_now, scratch) = (&between[..], &mut y[..], &mut [][..]);
    depthwise.run(Call { x, size: made, pad, y: y_now, add, relu: relu[1], scratch });
    bits(&y)
}

/// The same in one, with scratch for so many threads.
fn at_once(case: &Case, expansion: &Expansion<'_>, relu: bool, scratch: usize) -> Vec<u32> {
    let Case { channels: [input, _], size: [mels, frames], .. } = *case;
    let (pad, add, x, mut y) = (case.pad(), Add::Nothing, case.x(), case.y(expansion.depthwise));
    let mut scratch = vec![f32::NAN; scratch];
    let (size, y_now, scratch) = ([input, mels, frames], &mut y[..], &mut scratch[..]);
    expansion.run(Call { x: &x, size, pad, y: y_now, add, relu, scratch });
    bits(&y)
}

/// Every case at every level, with f32 weights and with packed ones: an expansion, its input and
/// what the two convolutions make of it one after the other.
fn each<F>(check: F)
where
    F: Fn(&Case, &Expansion<'_>, bool, &[u32]),
{
    for case in cases() {
        for level in Level::available() {
            for (is_packed, relu) in [(false, [true, true]), (true, [false, true])] {
                let (dense, depthwise) = case.layers(level, is_packed);
                let wanted = apart(&case, &dense, &depthwise, relu);
                let expansion = Expansion { dense: &dense, relu: relu[0], depthwise: &depthwise };
                check(&case, &expansion, relu[1], &wanted);
            }
        }
    }
}

#[test]
fn bits_are_those_of_one_convolution_after_the_other() {
    each(|case, expansion, relu, wanted| {
        let scratch = expansion.scratch(case.input(), case.pad());
        assert!(at_once(case, expansion, relu, scratch) == wanted, "{case:?}");
    });
}

/// Also where another number of them was planned.
#[test]
fn the_number_of_threads_changes_no_bit() {
    let pools = [1, 2, 3].map(|n| ThreadPoolBuilder::new().num_threads(n).build().unwrap());
    each(|case, expansion, relu, wanted| {
        let scratch = || expansion.scratch(case.input(), case.pad());
        let planned = pools.each_ref().map(|pool| pool.install(scratch));
        for pool in &pools {
            for scratch in planned {
                let found = pool.install(|| at_once(case, expansion, relu, scratch));
                assert!(found == wanted, "{case:?}, {} threads", pool.current_num_threads());
            }
        }
    });
}

/// Scratch of any plan is enough for a pass on fewer threads.
#[test]
fn fewer_threads_want_no_more_scratch() {
    let case = case([24, 500], [9, 100]);
    let (dense, depthwise) = case.layers(Level::best(), true);
    let expansion = Expansion { dense: &dense, relu: true, depthwise: &depthwise };
    let each = |threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let shape = pool.install(|| Shape::of(&expansion, [24, 9, 100], 1));
        assert_eq!(shape.threads, threads);
        (shape.each, shape.each * threads)
    };
    let all: Vec<(usize, usize)> = (1..12).map(each).collect();
    for (fewer, &(each, _)) in all.iter().enumerate() {
        assert!(all[fewer..].iter().all(|&(_, planned)| planned >= each), "{} threads", fewer + 1);
    }
}

/// Rows of a strip see no row above those that are held.
#[test]
fn strips_hold_what_rows_of_the_result_see() {
    for (mels, row, reach) in
        (1..90).flat_map(|n| [(n, 32 * 301, 3), (n, 32 * 40, 5), (n, 1 << 20, 7), (n, 32, 1)])
    {
        let Strips { rows, held, mask } = Strips::of(mels, row, reach);
        for top in (0..mels).step_by(rows) {
            let end = (top + rows).min(mels);
            let first = (top + 1).saturating_sub(reach);
            let mut places: Vec<usize> = (first..end).map(|row| row & mask).collect();
            assert!(places.iter().all(|&place| place < held), "{mels} rows of {row} bytes");
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), end - first, "{mels} rows of {row} bytes, reach {reach}");
        }
    }
}

#[test]
fn utterances_of_ten_seconds_fit() {
    assert!(fits(40, 1000, 3) && !fits(40, 1100, 3));
    // All rows are held, whatever there are.
    assert!(fits(1, 4000, 1) && !fits(1, 5000, 1));
}
