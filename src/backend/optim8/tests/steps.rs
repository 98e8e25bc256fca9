//! Steps: scalar Rust, vectors, plain twins and backends give the same bits.

use super::*;

/// A moment in scalar Rust: codes and scales.
type Held = (Vec<u8>, Vec<f32>);

fn zeros(count: usize, codec: Codec) -> Held {
    (vec![0; count], vec![0.0; codec.blocks(count)])
}

/// A step in scalar Rust: the codec's scalar form, and the rule's arithmetic value by value.
fn scalar_step<R: Update<M>, const M: usize>(
    parameter: &mut [f32],
    gradient: &[f32],
    moments: &mut [Held; M],
    codecs: [Codec; M],
    rule: R,
) {
    let mut values: [Vec<f32>; M] =
        std::array::from_fn(|k| codecs[k].dequantize(&moments[k].0, &moments[k].1));
    for (i, (p, &g)) in parameter.iter_mut().zip(gradient).enumerate() {
        let (change, new) = rule.change(&*p, g, std::array::from_fn(|k| values[k][i]));
        values.iter_mut().zip(new).for_each(|(values, new)| values[i] = new);
        *p = rule.shrink() * *p - change;
    }
    *moments = std::array::from_fn(|k| codecs[k].quantize(&values[k]));
}

/// A rule as the tests run it.
trait Tested<const M: usize>: Update<M> + Into<Step> {
    const NAME: &'static str;
    /// The map of each moment.
    const MAP_OF_EACH: [CodeMap; M];

    /// Step `t`, counted from 0. Its numbers depend on the rounding, so that the tests see several.
    fn at(t: u64, rounding: Rounding) -> Self;

    fn codecs(block: usize, rounding: Rounding) -> [Codec; M] {
        Self::MAP_OF_EACH.map(|map| Codec { map, rounding, block })
    }
}

impl Tested<1> for SgdStep {
    const NAME: &'static str = "SGD";
    const MAP_OF_EACH: [CodeMap; 1] = [CodeMap::Signed];

    fn at(t: u64, rounding: Rounding) -> Self {
        Self {
            rate: 0.1,
            momentum: 0.9,
            fresh: if t == 0 { 1.0 } else { 0.8 },
            weight_decay: 1e-3,
            nesterov: rounding == Rounding::SignPreserving,
        }
    }
}

impl Tested<2> for AdamStep {
    const NAME: &'static str = "Adam";
    const MAP_OF_EACH: [CodeMap; 2] = [CodeMap::Signed, CodeMap::Unsigned];

    fn at(_: u64, rounding: Rounding) -> Self {
        Self {
            rate: 0.01,
            first: [0.9, 0.1],
            second: [0.999, 0.001],
            epsilon: 1e-8,
            coupled: if rounding == Rounding::AboveZero { 0.1 } else { 0.0 },
            shrink: 0.99,
        }
    }
}

/// Runs a check of one rule for every rule.
macro_rules! every_rule {
    ($check:ident($($argument:expr),+)) => {
        $check::<SgdStep, 1>($($argument),+);
        $check::<AdamStep, 2>($($argument),+);
    };
}

/// A gradient of which one value's square is no f32.
fn gradient(count: usize, t: u64) -> Vec<f32> {
    let mut gradient = values(count, 10 + t, true);
    gradient[count / 2] = 1e25;
    gradient
}

/// Three steps of scalar Rust, of the vectorised path and of the plain twin, to the bit.
#[cfg(feature = "flex")]
fn three_ways<R, const M: usize>(
    what: &str,
    start: &[f32],
    gradients: &[Vec<f32>],
    codecs: [Codec; M],
    rule: impl Fn(u64) -> R,
) where
    R: Update<M>,
    for<'a> [&'a mut [f32]; M]: cpu::Beside<M>,
{
    use burn::backend::Flex;
    use burn::backend::tensor::FloatTensor;
    type T = FloatTensor<Flex>;
    let tensor = |values: &[f32]| T::from_data(TensorData::new(values.to_vec(), [values.len()]));
    let words = |codes: &[u8]| -> Vec<u8> {
        let whole = codes.len().next_multiple_of(PER_WORD);
        codes.iter().copied().chain([0; PER_WORD]).take(whole).collect()
    };
    let blank = |codec: Codec| {
        let n = start.len().div_ceil(PER_WORD);
        let words = T::from_data(TensorData::new(vec![0u32; n], [n]));
        (words, tensor(&zeros(start.len(), codec).1))
    };
    let (mut p, mut moments) = (start.to_vec(), codecs.map(|codec| zeros(start.len(), codec)));
    let (mut fast, mut fast_moments) = (tensor(start), codecs.map(blank));
    let (mut twin, mut twin_moments) = (tensor(start), codecs.map(blank));
    for (t, gradient) in gradients.iter().enumerate() {
        let rule = rule(t as u64);
        scalar_step(&mut p, gradient, &mut moments, codecs, rule);
        (fast, fast_moments) = cpu::step(fast, tensor(gradient), fast_moments, codecs, rule);
        (twin, twin_moments) =
            plain::step8::<Flex, R, M>(twin, tensor(gradient), twin_moments, codecs, &rule);
        for (form, parameter, held) in
            [("vectors", &fast, &fast_moments), ("the twin", &twin, &twin_moments)]
        {
            let what = format!("{what}, step {t}, {form}");
            equal(parameter.bytes(), bytemuck::cast_slice(&p), &what);
            for ((codes, absmax), (ours, scales)) in moments.iter().zip(held) {
                equal(ours.bytes(), &words(codes), &what);
                equal(scales.bytes(), bytemuck::cast_slice(absmax), &what);
            }
        }
    }
}

#[cfg(feature = "flex")]
fn one_rule_three_ways<R: Tested<M>, const M: usize>(block: usize, count: usize, rounding: Rounding)
where
    for<'a> [&'a mut [f32]; M]: cpu::Beside<M>,
{
    let start = values(count, 1, true);
    let gradients: Vec<_> = (0..3).map(|t| gradient(count, t)).collect();
    let what = format!("{}, {rounding:?}, {count} in blocks of {block}", R::NAME);
    let codecs = R::codecs(block, rounding);
    three_ways(&what, &start, &gradients, codecs, |t| R::at(t, rounding));
}

#[cfg(feature = "flex")]
#[test]
fn steps_of_scalars_vectors_and_plain_twins_are_equal() {
    for (block, count) in
        [(1, 5usize), (256, 1), (256, 300), (256, 40_001), (2048, 40_001), (100, 17_000)]
    {
        for rounding in RULES {
            every_rule!(one_rule_three_ways(block, count, rounding));
        }
    }
}

fn equals_scalars<R: Tested<M>, const M: usize>(
    kind: BackendKind,
    device: &Device,
    rounding: Rounding,
) {
    let (count, codecs) = (1000, R::codecs(64, rounding));
    let start = values(count, 1, true);
    let on = |x: &[f32]| floats(x, device);
    let blank = |codec: Codec| Blocks::zeros(count, codec, device);
    let (mut p, mut held) = (start.clone(), codecs.map(|codec| zeros(count, codec)));
    let (mut q, mut blocks) = (on(&start), codecs.map(blank).to_vec());
    for t in 0..3 {
        let (g, rule) = (gradient(count, t), R::at(t, rounding));
        scalar_step(&mut p, &g, &mut held, codecs, rule);
        let step: Step = rule.into();
        (q, blocks) = step.on_blocks(q, on(&g), blocks, &codecs, &Gate::Open(1.0));
    }
    same(&p, &held, q, blocks, &format!("{}, {rounding:?}, {kind:?}", R::NAME));
}

/// The operation of every backend against scalar Rust.
#[test]
fn steps_of_every_backend_equal_scalars() {
    for (kind, device) in devices() {
        for rounding in RULES {
            every_rule!(equals_scalars(kind, &device, rounding));
        }
    }
}

#[track_caller]
fn same(p: &[f32], held: &[Held], q: Tensor<1>, blocks: Vec<Blocks>, what: &str) {
    let of = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    equal(&bits(q), &of(p), what);
    assert_eq!(blocks.len(), held.len(), "{what}");
    for (ours, (codes, absmax)) in blocks.into_iter().zip(held) {
        equal(&bytes(ours.words, codes.len()), codes, what);
        equal(&bits(ours.absmax), &of(absmax), what);
    }
}

fn equals_scalars_in_32_bits<R: Tested<M>, const M: usize>(kind: BackendKind, device: &Device) {
    let what = format!("{}, {kind:?}", R::NAME);
    let start = values(1000, 1, true);
    let on = |x: &[f32]| floats(x, device).reshape([40, 25]);
    let (mut p, mut m) = (start.clone(), vec![[0.0f32; M]; 1000]);
    let (mut q, mut moments) = (on(&start), vec![Tensor::zeros([1000], (device, DType::F32)); M]);
    for t in 0..3 {
        let (g, rule) = (values(1000, 10 + t, true), R::at(t, Rounding::AboveZero));
        for ((p, &g), m) in p.iter_mut().zip(&g).zip(&mut m) {
            let (change, moments) = rule.change(&*p, g, *m);
            *m = moments;
            *p = rule.shrink() * *p - change;
        }
        let step: Step = rule.into();
        (q, moments) = step.on_values(q, on(&g), moments, &Gate::Open(1.0));
    }
    let of = |x: &mut dyn Iterator<Item = f32>| x.map(f32::to_bits).collect::<Vec<_>>();
    equal(&bits(flat(q)), &of(&mut p.into_iter()), &what);
    for (k, moment) in moments.into_iter().enumerate() {
        let wanted = of(&mut m.iter().map(|m| m[k]));
        equal(&bits(moment), &wanted, &format!("{what}, moment {k}"));
    }
}

/// Steps in 32 bits are the rule's arithmetic on numbers.
#[test]
fn steps_in_32_bits_equal_scalars() {
    for (kind, device) in devices() {
        every_rule!(equals_scalars_in_32_bits(kind, &device));
    }
}

/// A rule that the library does not have (Chen et al., *Symbolic Discovery of Optimization
/// Algorithms*, 2023): the code that visits the blocks runs any rule.
#[cfg(feature = "flex")]
#[derive(Debug, Clone, Copy)]
struct Lion {
    rate: f32,
    betas: [f32; 2],
    decay: f32,
}

#[cfg(feature = "flex")]
impl Update<1> for Lion {
    fn shrink(&self) -> f32 {
        1.0 - self.rate * self.decay
    }

    fn change<V: Value>(&self, _: &V, gradient: V, [m]: [V; 1]) -> (V, [V; 1]) {
        let [beta1, beta2] = self.betas;
        let direction = V::blend(beta1, m.clone(), 1.0 - beta1, gradient.clone()).sign();
        let m = V::blend(beta2, m, 1.0 - beta2, gradient).bounded();
        (direction.scaled(self.rate), [m])
    }
}

#[cfg(feature = "flex")]
proptest! {
    #[test]
    fn any_rule_runs_through_the_same_steps(
        values in prop::collection::vec((-1e3f32..1e3, -1e3f32..1e3), 1..200),
        block in 1usize..64,
        rounding in prop::sample::select(RULES.to_vec()),
        (rate, decay) in (0f32..1.0, 0f32..0.1),
    ) {
        let (start, gradient): (Vec<f32>, Vec<f32>) = values.into_iter().unzip();
        let codec = Codec { map: CodeMap::Signed, rounding, block };
        let opposite: Vec<f32> = gradient.iter().map(|g| -g / 3.0).collect();
        let lion = Lion { rate, betas: [0.9, 0.99], decay };
        three_ways("Lion", &start, &[gradient, opposite], [codec], |_| lion);
    }
}

/// A transposed parameter of two dimensions, and one that shares its memory with another tensor.
#[test]
fn layout_and_sharing_do_not_matter() {
    let codec = Codec { map: CodeMap::Signed, rounding: Rounding::Nearest, block: 16 };
    let step = SgdStep { rate: 0.1, momentum: 0.9, fresh: 1.0, weight_decay: 0.0, nesterov: false };
    for (kind, device) in devices() {
        let [p, g] =
            [1, 2].map(|seed| floats(&values(12 * 7, seed, true), &device).reshape([12, 7]));
        let (p, g) = (p.swap_dims(0, 1), g.swap_dims(0, 1));
        let whole = |x: Tensor<2>| Tensor::<2>::from_data(x.into_data(), &device);
        let held = p.clone();
        let before = bits(flat(held.clone()));
        let run = |p: Tensor<2>, g: Tensor<2>| {
            let zeros = vec![Blocks::zeros(84, codec, &device)];
            let (p, m) = Step::from(step).on_blocks(p, g, zeros, &[codec], &Gate::Open(1.0));
            (bits(flat(p)), bytes(m[0].words.clone(), 84), bits(m[0].absmax.clone()))
        };
        let wanted = run(whole(p.clone()), whole(g.clone()));
        assert!(run(p, g) == wanted, "{kind:?}");
        equal(&bits(flat(held)), &before, "the shared parameter");
    }
}
