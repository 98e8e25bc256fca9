//! Models: from files and bytes, what they are, and their end.

use std::ffi::c_char;
use std::ptr;

use engine::portable::Model;

use crate::memory::{Place, path as path_of, values};
use crate::models::{RevoxModel, get, insert, remove};
#[cfg(not(feature = "shipped"))]
use crate::status::Failure;
use crate::status::{Result, RevoxStatus, guarded, of, value_or};

const BAD: RevoxStatus = RevoxStatus::Model;

/// Opens the model of a file. `path` is UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_open(
    path: *const c_char,
    model: *mut *mut RevoxModel,
) -> RevoxStatus {
    // SAFETY: the caller's pointers.
    guarded(|| unsafe {
        let place = Place::one("the place for the model", model)?;
        let path = path_of(path)?;
        place.put(insert(Model::open(&path).map_err(of(BAD))?)?);
        Ok(())
    })
}

/// Opens the model whose file's bytes these are. They are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_open_bytes(
    bytes: *const u8,
    count: usize,
    model: *mut *mut RevoxModel,
) -> RevoxStatus {
    // SAFETY: the caller's pointers.
    guarded(|| unsafe {
        let place = Place::one("the place for the model", model)?;
        let bytes = values("the model", bytes, count)?.to_vec();
        place.put(insert(Model::from_bytes(bytes).map_err(of(BAD))?)?);
        Ok(())
    })
}

/// Opens the small model that revox ships with. It says the same as `revox compare A B`. A library
/// without the feature `shipped` does not have it: `REVOX_STATUS_ABSENT`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn revox_open_shipped(model: *mut *mut RevoxModel) -> RevoxStatus {
    // SAFETY: the caller's pointer.
    guarded(|| unsafe {
        let place = Place::one("the place for the model", model)?;
        place.put(insert(shipped()?)?);
        Ok(())
    })
}

#[cfg(feature = "shipped")]
fn shipped() -> Result<Model> {
    Model::shipped().map_err(of(BAD))
}

#[cfg(not(feature = "shipped"))]
fn shipped() -> Result<Model> {
    let message = "this library was built without the shipped model";
    Err(Failure::new(RevoxStatus::Absent, message))
}

/// Frees a model. Null is allowed. One that was freed before is an error: `REVOX_STATUS_HANDLE`.
#[unsafe(no_mangle)]
pub extern "C" fn revox_free(model: *mut RevoxModel) -> RevoxStatus {
    guarded(|| remove(model))
}

/// Values of an embedding, or 0 after an error.
#[unsafe(no_mangle)]
pub extern "C" fn revox_dim(model: *const RevoxModel) -> usize {
    value_or(0, || Ok(get(model)?.model.dim()))
}

/// The rate of the samples that the model takes, Hz, or 0 after an error. Samples at other rates
/// are resampled, so they need not have it.
#[unsafe(no_mangle)]
pub extern "C" fn revox_sample_rate(model: *const RevoxModel) -> u32 {
    value_or(0, || Ok(get(model)?.model.sample_rate()))
}

/// The name of the model's network, such as `resnet34`, or null after an error. The text is there
/// until the model is freed.
#[unsafe(no_mangle)]
pub extern "C" fn revox_name(model: *const RevoxModel) -> *const c_char {
    value_or(ptr::null(), || Ok(get(model)?.name.as_ptr()))
}

/// SHA-256 of the model's file, in hex, or null after an error. Embeddings of models that differ in
/// it cannot be compared. The text is there until the model is freed.
#[unsafe(no_mangle)]
pub extern "C" fn revox_hash(model: *const RevoxModel) -> *const c_char {
    value_or(ptr::null(), || Ok(get(model)?.hash.as_ptr()))
}
