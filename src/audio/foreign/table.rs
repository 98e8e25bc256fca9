//! Recordings whose container has a table of packets.

use std::ops::Range;

use super::codec::Codec;
use super::keep;
use crate::audio::blocks::Blocks;
use crate::audio::input::Input;
use crate::error::{Error, Result};

/// The place of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    /// Its first byte.
    pub place: u64,
    /// Its number of bytes.
    pub bytes: u32,
}

/// What a container says of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    /// The name of the container, for errors.
    pub container: &'static str,
    /// Samples per second.
    pub rate: u32,
    /// All packets.
    pub packets: Vec<Packet>,
    /// Samples of each packet but the last, if all have the same number, and those of the last one,
    /// if the container tells.
    pub samples: Option<(u64, Option<u64>)>,
    /// The first decoded sample that counts, and the one behind the last.
    pub kept: Range<u64>,
}

impl Table {
    /// Samples that the first packets decode to, if it is known.
    fn decoded(&self, packets: usize) -> Option<u64> {
        let (each, last) = self.samples?;
        let all = self.packets.len();
        match packets.min(all) as u64 {
            0 => Some(0),
            count if packets < all => Some(count * each),
            count => Some((count - 1) * each + last?),
        }
    }

    /// Checks that the file holds all packets.
    ///
    /// # Errors
    /// The packet in which the file ends.
    pub fn check(&self, input: &Input) -> Result<()> {
        let length = input.length();
        let is_cut = |packet: &Packet| packet.place.saturating_add(packet.bytes.into()) > length;
        let Some(cut) = self.packets.iter().position(is_cut) else { return Ok(()) };
        let place = self.packets[cut].place;
        let why = format!(
            "it ends inside packet {cut} of {} ({}), which begins at byte {place} of {length}: \
             truncated",
            self.packets.len(),
            self.time(self.decoded(cut)),
        );
        Err(input.unreadable(self.container, why))
    }

    /// The time of a decoded sample in the recording, for messages.
    fn time(&self, sample: Option<u64>) -> String {
        let Some(sample) = sample else { return "time unknown".into() };
        let seconds = sample.saturating_sub(self.kept.start) as f64 / f64::from(self.rate.max(1));
        format!("{seconds:.3} s")
    }
}

/// One channel of a recording with a table of packets.
pub(super) struct Reader {
    input: Input,
    codec: Box<dyn Codec>,
    table: Table,
    /// Whether every packet can be decoded without those in front of it.
    independent: bool,
    /// The number of the next packet.
    next: usize,
    /// Samples decoded so far.
    decoded: u64,
}

impl Reader {
    /// Reads the packets of a table in turn.
    ///
    /// # Errors
    /// Those of [`Table::check`].
    pub fn new(
        input: Input,
        table: Table,
        codec: Box<dyn Codec>,
        independent: bool,
    ) -> Result<Self> {
        table.check(&input)?;
        Ok(Self { input, codec, table, independent, next: 0, decoded: 0 })
    }

    /// Appends what a packet decodes to.
    fn decode(&mut self, packet: Packet, samples: &mut Vec<f32>) -> Result<()> {
        let before = samples.len();
        let bytes = packet.bytes as usize;
        let result = match self.input.at(packet.place, bytes)?.get(..bytes) {
            Some(data) => self.codec.decode(data, samples),
            None => Err("it is cut off".into()),
        };
        let (from, to) = (self.table.decoded(self.next), self.table.decoded(self.next + 1));
        let wanted = from.zip(to).map(|(from, to)| to - from);
        let found = (samples.len() - before) as u64;
        let result = result.and_then(|()| match wanted.filter(|wanted| *wanted != found) {
            None => Ok(()),
            Some(wanted) => Err(format!("it holds {found} samples, not {wanted}")),
        });
        result.map_err(|why| self.broken(packet, &why))?;
        keep(samples, before, self.decoded, &self.table.kept);
        self.next += 1;
        self.decoded += found;
        Ok(())
    }

    /// Goes to a packet by passing over those in front of it, if the codec can.
    fn pass(&mut self, wanted: usize) -> Result<()> {
        let Some(last) = wanted.checked_sub(1) else { return Ok(()) };
        for packet in &self.table.packets[..last] {
            let bytes = packet.bytes as usize;
            let data = self.input.at(packet.place, bytes)?.get(..bytes);
            if !data.is_some_and(|data| self.codec.pass(data)) {
                self.codec.reset();
                return Ok(());
            }
        }
        self.go_to(last);
        // Its own samples are not those that follow all of them.
        self.decode(self.table.packets[last], &mut Vec::new())
    }

    /// Goes on with this packet. All but the last must have the same number of samples.
    fn go_to(&mut self, packet: usize) {
        let each = self.table.samples.map_or(0, |(each, _)| each);
        self.next = packet;
        self.decoded = self.table.decoded(packet).unwrap_or(packet as u64 * each);
    }

    fn broken(&self, packet: Packet, why: &str) -> Error {
        let why = format!(
            "packet {} at byte {} ({}) cannot be decoded: {why}",
            self.next,
            packet.place,
            self.table.time(Some(self.decoded)),
        );
        self.input.unreadable(self.table.container, why)
    }
}

impl Blocks for Reader {
    fn rate(&self) -> u32 {
        self.table.rate
    }

    fn length(&self) -> Option<u64> {
        let all = self.table.decoded(self.table.packets.len())?;
        Some(all.min(self.table.kept.end).saturating_sub(self.table.kept.start))
    }

    fn more(&mut self, samples: &mut Vec<f32>) -> Result<bool> {
        let before = samples.len();
        while samples.len() == before {
            let next = self.table.packets.get(self.next).copied();
            let Some(packet) = next.filter(|_| self.decoded < self.table.kept.end) else {
                return Ok(false);
            };
            self.decode(packet, samples)?;
        }
        Ok(true)
    }

    fn rewind(&mut self) {
        self.codec.reset();
        (self.next, self.decoded) = (0, 0);
    }

    fn seek(&mut self, sample: u64) -> Result<u64> {
        self.rewind();
        let each = self.table.samples.map_or(0, |(each, _)| each);
        if let Some(packet) = sample.saturating_add(self.table.kept.start).checked_div(each) {
            let packet = packet.min(self.table.packets.len() as u64) as usize;
            if self.independent {
                self.go_to(packet);
            } else {
                self.pass(packet)?;
            }
        }
        Ok(self.decoded.min(self.table.kept.end).saturating_sub(self.table.kept.start))
    }
}

#[cfg(test)]
mod tests;
