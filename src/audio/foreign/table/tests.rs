use super::*;
use crate::audio::input::tests::every;

/// Every byte is a sample, plus a quarter of the sum of all earlier ones unless `plain`.
struct Bytes {
    sum: f32,
    plain: bool,
    /// Packets of bytes below this one can be passed over.
    passes: u8,
    /// Whether the last one was passed over. The samples of the next are then wrong.
    passed: bool,
}

impl Codec for Bytes {
    fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<(), String> {
        if packet.contains(&255) {
            return Err("a bad byte".into());
        }
        let wrong = if std::mem::take(&mut self.passed) { 1000.0 } else { 0.0 };
        for &byte in packet {
            samples.push(f32::from(byte) + self.sum / 4.0 + wrong);
            self.sum += if self.plain { 0.0 } else { f32::from(byte) };
        }
        Ok(())
    }

    fn reset(&mut self) {
        (self.sum, self.passed) = (0.0, false);
    }

    fn pass(&mut self, packet: &[u8]) -> bool {
        self.passed = packet.iter().all(|byte| *byte < self.passes);
        self.sum += packet.iter().map(|&byte| f32::from(byte)).sum::<f32>();
        self.passed
    }
}

fn table(kept: Range<u64>) -> Table {
    let packets = [10, 2, 18, 6, 14].map(|place| Packet { place, bytes: 4 });
    let mut packets = packets.to_vec();
    packets[4].bytes = 3;
    Table { container: "MP4", rate: 2, packets, samples: Some((4, Some(3))), kept }
}

fn readers(bytes: &[u8], kept: &Range<u64>, plain: bool, passes: u8) -> [Result<Reader>; 3] {
    every("a.m4a", bytes).map(|input| {
        let codec = Box::new(Bytes { sum: 0.0, plain, passes, passed: false });
        Reader::new(input, table(kept.clone()), codec, plain)
    })
}

#[test]
fn packets_in_turn_and_from_every_sample() {
    let bytes: Vec<u8> = (0..22).collect();
    // Packets that depend on none, on all, on those that can be passed over, and on some that
    // cannot.
    for (plain, passes) in [(true, 0), (false, 0), (false, 255), (false, 14)] {
        for kept in [0..u64::MAX, 5..17, 0..19, 8..8] {
            for reader in readers(&bytes, &kept, plain, passes) {
                let mut reader = reader.unwrap();
                let mut all = Vec::new();
                while reader.more(&mut all).unwrap() {}
                assert_eq!(reader.length(), Some(all.len() as u64));
                if plain && kept.start == 5 {
                    assert_eq!(all[..8], [3.0, 4.0, 5.0, 18.0, 19.0, 20.0, 21.0, 6.0]);
                }
                for sample in 0..25 {
                    let first = reader.seek(sample).unwrap();
                    let mut rest = Vec::new();
                    while reader.more(&mut rest).unwrap() {}
                    assert!(first <= sample && rest == all[first as usize..], "{kept:?} {sample}");
                    let is_near = first == all.len() as u64 || sample - first < 8;
                    assert!(is_near || !plain && passes < 255, "{kept:?} {sample}");
                }
            }
        }
    }
}

#[test]
fn cut_and_damaged_files_are_errors_with_their_place() {
    let bytes: Vec<u8> = (0..22).collect();
    for reader in readers(&bytes[..20], &(1..u64::MAX), true, 0) {
        let error = reader.err().unwrap().to_string();
        assert!(error.contains("ends inside packet 2 of 5 (3.500 s)"), "{error}");
    }
    let mut bad = bytes;
    bad[7] = 255;
    for reader in readers(&bad, &(0..u64::MAX), true, 0) {
        let (mut reader, mut samples) = (reader.unwrap(), Vec::new());
        let error = loop {
            match reader.more(&mut samples) {
                Ok(more) => assert!(more),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(samples.len(), 12);
        assert!(error.contains("a.m4a") && error.contains("packet 3 at byte 6 (6.000 s)"));
    }
}
