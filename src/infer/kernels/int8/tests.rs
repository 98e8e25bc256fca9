mod case;

use super::*;
use crate::infer::plane::{GUARD, TAIL};
use crate::rng::Stream;
use case::{Case, Value};

/// Marks places that no kernel may change.
const UNTOUCHED: u32 = 0x4640_e400;

fn kernels() -> Vec<&'static Kernel> {
    Level::available().into_iter().flat_map(Kernel::all).collect()
}

/// Whether a kernel gives the bits of the definition, in words and pads.
fn check(case: &Case, kernels: &[&'static Kernel], stream: &mut Stream, all: bool) {
    let made = case.made();
    let count = made.iter().product();
    let denses: Vec<IntDense> = kernels.iter().map(|kernel| case.dense(kernel)).collect();
    for (form, to_bytes) in (0..4).flat_map(|form| [(form, false), (form, true)]) {
        if !all && !stream.chance(0.3) {
            continue;
        }
        let relu = stream.chance(0.5);
        let output = to_bytes.then_some(case.output);
        let other = Scale { step: 0.03, zero: stream.below(256) as u8 };
        let scale = [None, None, Some(other), output][form];
        let add = (form > 0).then(|| Value::random(stream, count, scale));
        let wanted = case.wanted(add.as_ref(), relu, output).laid(made, case.pad);
        for dense in &denses {
            let found = case.found(dense, add.as_ref(), form == 3, relu, output);
            let is_equal = found == wanted[GUARD..wanted.len() - TAIL];
            let (name, geometry) = (dense.kernel.name, case.geometry);
            assert!(is_equal, "{name}, {geometry:?}, {:?}, form {form}, {output:?}", case.size);
        }
    }
}

#[test]
fn every_kernel_gives_the_bits_of_the_definition() {
    let mut stream = Stream::new(11, "cases", &[]);
    for i in 0..300 {
        let case = Case::random(&mut stream);
        // Rows without frames have pads that nobody reads.
        if case.made().contains(&0) {
            continue;
        }
        check(&case, &kernels(), &mut stream, i < 20);
    }
}

#[test]
fn usual_layers_give_the_bits_of_the_definition_on_any_number_of_threads() {
    let mut stream = Stream::new(12, "usual", &[]);
    for case in Case::usual(&mut stream) {
        let wanted = case.wanted(None, true, Some(case.output)).laid(case.made(), case.pad);
        for kernel in kernels() {
            let dense = case.dense(kernel);
            for threads in [1, 2, 7] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let found =
                    pool.install(|| case.found(&dense, None, false, true, Some(case.output)));
                let is_equal = found == wanted[GUARD..wanted.len() - TAIL];
                assert!(is_equal, "{}, {:?}, {threads} threads", kernel.name, case.geometry);
            }
        }
    }
}

fn three_by_three(input: usize, output: usize) -> Geometry {
    let ones = [1, 1];
    Geometry { input, output, kernel: [3, 3], stride: ones, dilation: ones, padding: ones }
}

#[test]
fn nothing_saturates() {
    let mut stream = Stream::new(15, "limits", &[]);
    let mut case = Case::of(&mut stream, three_by_three(70, 8), [3, 20], 1);
    for (byte, zero, weight) in
        [(255, 0, 1.0), (255, 0, -1.0), (0, 255, 1.0), (0, 128, -1.0), (255, 255, 1.0)]
    {
        case.x.fill(byte);
        case.input.zero = zero;
        case.weights = Weights::Floats(vec![weight; 70 * 8 * 9]);
        check(&case, &kernels(), &mut stream, true);
    }
}

#[test]
fn values_become_bytes() {
    let mut stream = Stream::new(13, "values", &[]);
    for _ in 0..60 {
        let size = [1 + stream.below(11), 1 + stream.below(5), 1 + stream.below(40)];
        let scale = Scale::of([-stream.between(0.0, 4.0) as f32, 2.0]);
        let mut value = Value::random(&mut stream, size.iter().product(), None);
        let Value::Floats(values) = &mut value else { unreachable!() };
        for special in [f32::NAN, f32::INFINITY, f32::MIN, 1e-42, -0.0] {
            let at = stream.below(values.len());
            values[at] = special;
        }
        let bytes: Vec<u8> = values.iter().map(|&value| scale.byte(value)).collect();
        let [x_pad, y_pad] = [0, 1].map(|_| stream.below(3));
        let x: Vec<f32> = value.laid(size, x_pad).into_iter().map(f32::from_bits).collect();
        let wanted = Value::Bytes(bytes, scale).laid(size, y_pad);
        let inner = GUARD..wanted.len() - TAIL;
        for level in Level::available() {
            let mut y = vec![UNTOUCHED; wanted.len()];
            quantize(level, &x, size, x_pad, scale, &mut y, y_pad);
            assert!(y[inner.clone()] == wanted[inner.clone()], "{level:?}, {size:?}, {scale:?}");
            let guards = y[..GUARD].iter().chain(&y[inner.end..]);
            assert!(guards.into_iter().all(|&word| word == scale.word()), "{level:?}");
        }
    }
}

#[test]
fn bytes_are_those_of_weights_sums_scale_and_shift() {
    let mut stream = Stream::new(14, "bytes", &[]);
    let mut case = Case::of(&mut stream, three_by_three(16, 32), [10, 38], 1);
    case.input.zero = 3;
    case.weights = Weights::Floats(vec![0.5; 16 * 32 * 9]);
    let (count, floats) = (16 * 32 * 9, 4 * 2 * 32);
    for kernel in kernels() {
        assert_eq!(case.dense(kernel).bytes(), count + 4 * 32 * 9 + floats);
    }
    case.weights = Weights::Codes {
        bits: 4,
        codes: vec![0; count / 2],
        values: vec![0.5; 16],
        per_output: false,
    };
    for kernel in kernels() {
        assert_eq!(case.dense(kernel).bytes(), count / 2 + 16 + 4 * 32 * 9 + floats);
    }
}
