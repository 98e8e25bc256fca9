//! Rows that move, against optimizers whose rows stay.

use std::ops::Range;

use burn::module::{Module, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, TensorData};
use proptest::prelude::*;

use super::*;
use crate::optim::{Gate, Stepper};
use crate::rng::Stream;
use crate::train::OptimizerConfig;

type Matrix = burn::tensor::Tensor<2>;

#[derive(Module, Debug)]
struct Net {
    head: Param<Matrix>,
    other: Param<Matrix>,
}

fn noise(rows: Range<usize>, width: usize, turn: u64) -> Matrix {
    let row = |row: usize| {
        let mut stream = Stream::new(row as u64, "rows", &[turn]);
        (0..width).map(|_| stream.normal() as f32).collect::<Vec<f32>>()
    };
    let count = rows.len();
    let values: Vec<f32> = rows.flat_map(row).collect();
    Matrix::from_data(TensorData::new(values, [count, width]), &Device::default())
}

impl Net {
    fn new(rows: Range<usize>, width: usize) -> Self {
        Self {
            head: Param::initialized(ParamId::from(1u64), noise(rows, width, 90)),
            other: Param::initialized(ParamId::from(2u64), noise(0..3, width, 91)),
        }
    }

    /// A step along gradients that depend on row and turn only.
    fn step(self, stepper: &mut Stepper, rows: Range<usize>, turn: u64) -> Self {
        let width = self.head.dims()[1];
        let mut gradients = GradientsParams::new();
        gradients.register(self.head.id, noise(rows, width, turn));
        gradients.register(self.other.id, noise(0..3, width, turn));
        stepper.step(0.01, self, gradients, Gate::Open(1.0))
    }

    fn rows(&self) -> Vec<f32> {
        self.head.val().into_data().iter::<f32>().collect()
    }
}

/// Blocks of 64 values, so that a row of that width is a block of its own.
fn config(name: &str, min_size: usize) -> OptimizerConfig {
    let states = match name.ends_with("8bit") {
        true => format!("[states]\nblock_size = 64\nmin_size = {min_size}\n"),
        false => String::new(),
    };
    toml::from_str(&format!("kind = \"{name}\"\n{states}")).unwrap()
}

/// Rows that stay go on as if nothing had happened, to the bit, since each is a block of its
/// own. New ones begin with moments of 0.
#[test]
fn kept_rows_go_on_the_same() {
    for name in OptimizerConfig::NAMES {
        // With the last, moments of the smaller head are held in 32 bits.
        for min_size in [64, 4096, 320] {
            let (config, width) = (config(name, min_size), 64);
            let mut stepper = config.init().unwrap();
            let mut net = Net::new(0..4, width).train();
            for turn in 0..3 {
                net = net.step(&mut stepper, 0..4, turn);
            }
            let of = [Some(1), Some(2), Some(3), None, None];
            let rows = Rows { of: &of, old: 4, shapes: HashMap::from([(1, vec![5, width])]) };
            let record = stepper.into_bytes().unwrap();
            let moved = config.moved(record.clone(), &rows).unwrap();
            let mut after = config.restore(moved.clone()).unwrap();
            let mut larger = Net::new(1..6, width);
            super::super::Record::read(&moved).unwrap().check_module(&larger).unwrap();
            // The rows that are kept have the old weights.
            let (ours, fresh) = (net.rows(), larger.rows());
            let kept: Vec<f32> = ours[width..].iter().chain(&fresh[3 * width..]).copied().collect();
            let data = TensorData::new(kept, [5, width]);
            let head = Matrix::from_data(data, &Device::default());
            larger.head = Param::initialized(ParamId::from(1u64), head);
            larger.other = net.valid().other;
            let larger = larger.train().step(&mut after, 1..6, 3);
            let net = net.step(&mut stepper, 0..4, 3);
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
            let what = format!("{name}, {min_size}");
            let crosses = name.ends_with("8bit") && min_size == 320;
            let (ours, wanted) = (larger.rows(), net.rows());
            let same = bits(&ours[..3 * width]) == bits(&wanted[width..]);
            assert!(same || crosses, "{what}");
            let other =
                |net: &Net| -> Vec<f32> { net.other.val().into_data().iter::<f32>().collect() };
            assert!(bits(&other(&larger)) == bits(&other(&net)), "{what}");
            // Back again, without the new ones.
            let back = [None, Some(0), Some(1), Some(2)];
            let rows = Rows { of: &back, old: 5, shapes: HashMap::from([(1, vec![4, width])]) };
            let again = config.moved(moved, &rows).unwrap();
            config.restore(again).unwrap();
        }
    }
}

#[test]
fn moments_of_other_parameters_are_refused() {
    let config = config("adamw8bit", 64);
    let mut stepper = config.init().unwrap();
    Net::new(0..4, 64).train().step(&mut stepper, 0..4, 0);
    let record = stepper.into_bytes().unwrap();
    let of = [Some(0), None];
    for (old, shape) in [(3, vec![2, 64]), (4, vec![2, 32]), (4, vec![3, 64])] {
        let rows = Rows { of: &of, old, shapes: HashMap::from([(1, shape)]) };
        let error = config.moved(record.clone(), &rows).unwrap_err().to_string();
        assert!(error.contains("the optimizer's record: parameter 1 has 256 values"), "{error}");
    }
}

proptest! {
    /// Against the plain copy of rows.
    #[test]
    fn parts_are_copied(
        of in proptest::collection::vec(proptest::option::of(0usize..4), 1..7),
        each in 1usize..5,
    ) {
        let old: Vec<f32> = (0..4 * each).map(|i| i as f32 + 1.0).collect();
        let rows = Rows { of: &of, old: 4, shapes: HashMap::new() };
        let new = rows.moved_parts(1, &old, of.len() * each, 0.0).unwrap();
        for (i, value) in new.iter().enumerate() {
            let wanted = of[i / each].map_or(0.0, |from| old[from * each + i % each]);
            prop_assert_eq!(*value, wanted);
        }
    }
}
