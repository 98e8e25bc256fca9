//! The models that are open, by number. A number is never given twice, so one that was freed is
//! told from one that is in use. Whoever uses a model keeps it until the call ends.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::ptr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use engine::portable::Model;

use crate::status::{Failure, Result, RevoxStatus, c_text};

/// A model. It is a number that the library looks up, not an address.
pub struct RevoxModel {
    _opaque: (),
}

/// A model with its texts for C.
pub(crate) struct Entry {
    pub model: Model,
    pub name: CString,
    pub hash: CString,
}

#[derive(Default)]
struct Models {
    open: BTreeMap<usize, Arc<Entry>>,
    /// The last number that was given.
    last: usize,
}

static MODELS: RwLock<Models> = RwLock::new(Models { open: BTreeMap::new(), last: 0 });

/// The map is whole between any two calls on it: a panic that poisons the lock harms nothing.
fn reading() -> RwLockReadGuard<'static, Models> {
    MODELS.read().unwrap_or_else(PoisonError::into_inner)
}

fn writing() -> RwLockWriteGuard<'static, Models> {
    MODELS.write().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a model a number.
pub(crate) fn insert(model: Model) -> Result<*mut RevoxModel> {
    let (name, hash) = (c_text(model.name()), c_text(model.hash()));
    let entry = Arc::new(Entry { model, name, hash });
    let mut models = writing();
    let next = models.last.checked_add(1);
    let number = next.ok_or_else(|| Failure::argument("too many models were opened"))?;
    models.last = number;
    models.open.insert(number, entry);
    Ok(ptr::without_provenance_mut(number))
}

/// The model of a number.
pub(crate) fn get(handle: *const RevoxModel) -> Result<Arc<Entry>> {
    let models = reading();
    let entry = models.open.get(&handle.addr()).cloned();
    entry.ok_or_else(|| unknown(&models, handle))
}

/// Takes a model away. Null is no model, and no error.
pub(crate) fn remove(handle: *const RevoxModel) -> Result<()> {
    if handle.is_null() {
        return Ok(());
    }
    let mut models = writing();
    let Some(entry) = models.open.remove(&handle.addr()) else {
        return Err(unknown(&models, handle));
    };
    drop(models);
    // Without the lock, for it takes a while.
    drop(entry);
    Ok(())
}

fn unknown(models: &Models, handle: *const RevoxModel) -> Failure {
    match handle.addr() {
        0 => Failure::argument("the model is null"),
        number if number <= models.last => Failure::new(RevoxStatus::Handle, "the model was freed"),
        _ => Failure::new(RevoxStatus::Handle, "that never was a model"),
    }
}
