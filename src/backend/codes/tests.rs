use burn::tensor::{DType, Device, Tensor, TensorData};

use super::*;
use crate::backend::BackendKind;
use crate::rng::Stream;
use proptest::prelude::*;

fn devices() -> Vec<Device> {
    [BackendKind::Flex, BackendKind::Ndarray].into_iter().filter_map(|k| k.device(0).ok()).collect()
}

fn matrix(rows: &[Vec<f32>], device: &Device) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), device)
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

proptest! {
    #[test]
    fn packing_loses_nothing(codes in prop::collection::vec(0u8..=255, 0..70), bits in 1usize..=8) {
        let codes: Vec<u8> =
            codes.into_iter().map(|c| (u16::from(c) % (1 << bits)) as u8).collect();
        let bytes = pack(&codes, bits);
        prop_assert_eq!(bytes.len(), packed_len(codes.len(), bits));
        prop_assert_eq!(super::codes(&bytes, bits, codes.len()).collect::<Vec<_>>(), codes);
    }

    /// Every backend against scalar Rust, every width, with and without rows of groups.
    #[test]
    fn tables_are_looked_up(
        seed in 0u64..1000, bits in 1usize..=8, each in 1usize..50, groups in 1usize..4,
    ) {
        let mut stream = Stream::new(seed, "codes", &[]);
        let entries = 1 << bits;
        let mut row =
            || -> Vec<f32> { (0..entries).map(|_| stream.normal() as f32).collect() };
        let rows: Vec<Vec<f32>> = (0..groups).map(|_| row()).collect();
        let codes: Vec<u8> = (0..each * groups).map(|_| stream.below(entries) as u8).collect();
        let entry = |(i, &code): (usize, &u8)| rows[i / each][usize::from(code)];
        let wanted: Vec<f32> = codes.iter().enumerate().map(entry).collect();
        for device in devices() {
            let packed = pack(&codes, bits);
            let words = words(&packed, &device);
            prop_assert_eq!(bytes(words.clone(), packed_len(codes.len(), bits)), packed);
            let ours = unpack(words, matrix(&rows, &device), bits, [groups, each]);
            prop_assert_eq!(&numbers(ours), &wanted);
        }
    }

    #[test]
    fn the_nearest_entry_is_found(
        seed in 0u64..1000, bits in 1usize..=8, each in 1usize..50, groups in 1usize..4,
    ) {
        let mut stream = Stream::new(seed, "nearest", &[]);
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| stream.normal() as f32).collect() };
        let rows: Vec<Vec<f32>> = (0..groups).map(|_| draw(1 << bits)).collect();
        let mut bounds: Vec<Vec<f32>> = (0..groups).map(|_| draw((1 << bits) - 1)).collect();
        bounds.iter_mut().for_each(|b| b.sort_by(f32::total_cmp));
        let mut x = draw(each * groups);
        x[0] = bounds[0][0]; // on a bound: the lower one
        let below = |i: usize| bounds[i / each].iter().filter(|&&b| x[i] > b).count();
        let wanted: Vec<f32> = (0..x.len()).map(|i| rows[i / each][below(i)]).collect();
        for device in devices() {
            let of = TensorData::new(x.clone(), [groups, each]);
            let of = Tensor::<2>::from_data(of, &device);
            let ours = nearest(of, matrix(&bounds, &device), matrix(&rows, &device));
            prop_assert_eq!(&numbers(ours), &wanted);
        }
    }
}

#[test]
fn other_types_of_numbers_take_the_plain_way() {
    for device in devices() {
        let wide = |row: Vec<f32>| matrix(&[row], &device).cast(DType::F64);
        let (bounds, table) = (wide(vec![1.5, 2.5, 3.5]), wide(vec![1.0, 2.0, 3.0, 4.0]));
        let x = wide(vec![0.0, 9.0, 2.6, 2.0]);
        let found = nearest(x, bounds, table.clone());
        assert_eq!(numbers(found.cast(DType::F32)), [1.0, 4.0, 3.0, 2.0]);
        let codes = words(&pack(&[3, 0, 2], 2), &device);
        assert_eq!(numbers(unpack(codes, table, 2, [3]).cast(DType::F32)), [4.0, 1.0, 3.0]);
    }
}

/// Longer than a task, so that several threads have a part.
#[test]
fn long_tensors_are_whole() {
    let mut stream = Stream::new(1, "long", &[]);
    let table: Vec<f32> = (0..8).map(|_| stream.normal() as f32).collect();
    let codes: Vec<u8> = (0..40_001).map(|_| stream.below(8) as u8).collect();
    for (bits, device) in
        [3, 4, 8].into_iter().flat_map(|b| devices().into_iter().map(move |d| (b, d)))
    {
        let ours = unpack(
            words(&pack(&codes, bits), &device),
            matrix(std::slice::from_ref(&table), &device),
            bits,
            [codes.len()],
        );
        let wrong = numbers(ours)
            .iter()
            .zip(&codes)
            .filter(|(x, c)| **x != table[usize::from(**c)])
            .count();
        assert_eq!(wrong, 0, "{bits} bits");
    }
}
