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
        let codes: Vec<u8> = codes.into_iter().map(|c| (u16::from(c) % (1 << bits)) as u8).collect();
        let bytes = pack(&codes, bits);
        prop_assert_eq!(bytes.len(), packed_len(codes.len(), bits));
        prop_assert_eq!(super::codes(&bytes, bits, codes.len()).collect::<Vec<_>>(), codes);
    }

    /// Every backend against scalar Rust, every width, with and without rows of groups.
    #[test]
    fn tables_are_looked_up(seed in 0u64..1000, bits in 1usize..=8, each in 1usize..50, groups in 1usize..4) {
        let mut stream = Stream::new(seed, "codes", &[]);
        let entries = 1 << bits;
        let rows: Vec<Vec<f32>> = (0..groups).map(|_| (0..entries).map(|_| stream.normal() as f32).collect()).collect();
        let codes: Vec<u8> = (0..each * groups).map(|_| stream.below(entries) as u8).collect();
        let wanted: Vec<f32> = codes.iter().enumerate().map(|(i, &c)| rows[i / each][usize::from(c)]).collect();
        for device in devices() {
            let packed = words(&pack(&codes, bits), &device);
            prop_assert_eq!(bytes(packed.clone(), packed_len(codes.len(), bits)), pack(&codes, bits));
            let ours = unpack(packed, matrix(&rows, &device), bits, [groups, each]);
            prop_assert_eq!(&numbers(ours), &wanted);
        }
    }

    #[test]
    fn the_nearest_entry_is_found(seed in 0u64..1000, bits in 1usize..=8, each in 1usize..50, groups in 1usize..4) {
        let mut stream = Stream::new(seed, "nearest", &[]);
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| stream.normal() as f32).collect() };
        let rows: Vec<Vec<f32>> = (0..groups).map(|_| draw(1 << bits)).collect();
        let mut bounds: Vec<Vec<f32>> = (0..groups).map(|_| draw((1 << bits) - 1)).collect();
        bounds.iter_mut().for_each(|b| b.sort_by(f32::total_cmp));
        let mut x = draw(each * groups);
        x[0] = bounds[0][0]; // on a bound: the lower one
        let entry = |i: usize| rows[i / each][bounds[i / each].iter().filter(|&&b| x[i] > b).count()];
        let wanted: Vec<f32> = (0..x.len()).map(entry).collect();
        for device in devices() {
            let of = Tensor::<1>::from_data(TensorData::new(x.clone(), [x.len()]), &device).reshape([groups, each]);
            let ours = nearest(of, matrix(&bounds, &device), matrix(&rows, &device));
            prop_assert_eq!(&numbers(ours), &wanted);
        }
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
