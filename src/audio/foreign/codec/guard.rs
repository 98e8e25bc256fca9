//! A panic within a decoder of others becomes an error of its file.
//!
//! symphonia's Vorbis decoder, for one, divides by zero where a damaged setup names a place of its
//! floor twice.

use std::any::Any;

use super::Codec;
use crate::panics::{caught, panic_text};

/// A decoder, and how to make it anew: a panic leaves it in an unknown state.
pub(super) struct Guard<D, M> {
    decoder: Option<D>,
    make: M,
}

impl<D: Codec, M: Fn() -> Result<D, String> + Send> Guard<D, M> {
    /// Makes a decoder.
    ///
    /// # Errors
    /// Those of `make`, and its panic.
    pub fn new(make: M) -> Result<Self, String> {
        Ok(Self { decoder: Some(made(&make)?), make })
    }
}

impl<D: Codec, M: Fn() -> Result<D, String> + Send> Codec for Guard<D, M> {
    fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<(), String> {
        let mut decoder = match self.decoder.take() {
            Some(decoder) => decoder,
            None => made(&self.make)?,
        };
        let length = samples.len();
        match caught(|| decoder.decode(packet, samples)) {
            Ok(outcome) => {
                self.decoder = Some(decoder);
                outcome
            }
            Err(panic) => {
                samples.truncate(length);
                Err(reason(&*panic))
            }
        }
    }

    fn reset(&mut self) {
        if let Some(decoder) = &mut self.decoder {
            decoder.reset();
        }
    }

    fn pass(&mut self, packet: &[u8]) -> bool {
        self.decoder.as_mut().is_some_and(|decoder| decoder.pass(packet))
    }
}

fn made<D>(make: impl Fn() -> Result<D, String>) -> Result<D, String> {
    caught(make).unwrap_or_else(|panic| Err(reason(&*panic)))
}

fn reason(panic: &(dyn Any + Send)) -> String {
    format!("its decoder failed ({})", panic_text(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives the bytes of a packet, and fails at the first 9.
    struct Fragile(Vec<u8>);

    impl Codec for Fragile {
        fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<(), String> {
            for &byte in packet {
                assert!(byte != 9, "nine in {:?}", self.0);
                self.0.push(byte);
                samples.push(byte.into());
            }
            Ok(())
        }

        fn reset(&mut self) {
            self.0.clear();
        }
    }

    #[test]
    fn a_panic_is_an_error_and_the_decoder_begins_anew() {
        let mut guard = Guard::new(|| Ok(Fragile(Vec::new()))).unwrap();
        let mut samples = Vec::new();
        guard.decode(&[1, 2], &mut samples).unwrap();
        let why = guard.decode(&[3, 9], &mut samples).unwrap_err();
        assert_eq!(why, "its decoder failed (nine in [1, 2, 3])");
        let why = guard.decode(&[9], &mut samples).unwrap_err();
        assert_eq!(why, "its decoder failed (nine in [])");
        guard.decode(&[4], &mut samples).unwrap();
        assert_eq!(samples, [1.0, 2.0, 4.0]);
    }
}
