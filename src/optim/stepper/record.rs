//! The states of tensors that are stepped together, in the form of Burn's records.

use burn::optim::{StateSink, StateSource};
use burn::tensor::{Bytes, Device, TensorData};
use burn_pack::{Reader, Scalar, Writer};

use super::kind::Kind;
use super::together::Together;
use crate::error::Result;
use crate::optim::record::bad;
use crate::optim::state::key;

impl Together {
    /// The record of all states.
    ///
    /// # Errors
    /// States that have no form in bytes.
    pub fn record(&self, kind: &dyn Kind) -> Result<Bytes> {
        let (mut tensors, mut scalars) = (Vec::new(), Vec::new());
        for (&id, slot) in &self.slots {
            let prefix = id.to_string();
            let mut sink = StateSink::default();
            kind.write(&prefix, slot, &mut sink);
            sink.push_scalar(&prefix, key::RANK, Scalar::from(slot.rank));
            scalars.append(&mut sink.scalars);
            for (name, data) in sink.tensors {
                let (bytes, shape, dtype) = data.into_parts();
                tensors.push(burn_pack::Tensor::new(name, dtype, shape, Some(id), bytes));
            }
        }
        let mut writer = Writer::new(tensors);
        for (name, value) in scalars {
            writer = writer.with_scalar(&name, value);
        }
        for (id, slot) in &self.slots {
            if let Some(path) = &slot.path {
                writer = writer.with_metadata(&id.to_string(), path);
            }
        }
        writer.into_bytes().map_err(bad)
    }

    /// The states of a record that has been checked.
    ///
    /// # Errors
    /// A record of another optimizer all the same.
    pub fn read(kind: &dyn Kind, record: Bytes, device: &Device) -> Result<Self> {
        let reader = Reader::from_bytes(record.shared()).map_err(bad)?;
        let (scalars, paths) = (reader.scalars().clone(), reader.metadata().clone());
        let mut source = StateSource::new(scalars.clone());
        for tensor in reader.into_tensors().map_err(bad)? {
            let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(bad)?;
            source.insert_tensor(name, TensorData::from_bytes(bytes, shape, dtype));
        }
        let mut states = Self::new(device.clone());
        for (name, &rank) in &scalars {
            let Some((prefix, key::RANK)) = name.split_once('.') else { continue };
            let id: u64 = prefix.parse().map_err(bad)?;
            let found = kind.read(prefix, &mut source, device);
            if let Some(mut slot) = found.map_err(|what| bad(format!("is of {what}")))? {
                slot.rank = usize::try_from(rank).map_err(bad)?;
                slot.path = paths.get(prefix).cloned();
                states.slots.insert(id, slot);
            }
        }
        Ok(states)
    }
}
