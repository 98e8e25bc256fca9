//! The caller's memory: the only place where pointers are read and written.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::slice;

use crate::status::{Failure, Result};

/// `count` values from `start` on. Null is no values.
///
/// # Safety
/// `start` is null, or `count` values that nobody changes lie there while the slice is used.
pub(crate) unsafe fn values<'a, T: Copy>(
    what: &str,
    start: *const T,
    count: usize,
) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    check(what, start)?;
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(Failure::argument(format!(
            "{what}: {count} values are more than memory holds"
        )));
    }
    // SAFETY: not null, aligned, and no larger than an object may be. That the values are there is
    // what the caller of the library promises.
    Ok(unsafe { slice::from_raw_parts(start, count) })
}

/// The value at a place. Null is an error.
///
/// # Safety
/// `place` is null, or a value lies there.
pub(crate) unsafe fn value<T: Copy>(what: &str, place: *const T) -> Result<T> {
    check(what, place)?;
    // SAFETY: not null and aligned. That the value is there is what the caller promises.
    Ok(unsafe { place.read() })
}

/// A place for results, which is checked before anything is computed.
pub(crate) struct Place<T> {
    start: *mut T,
    count: usize,
}

impl<T: Copy> Place<T> {
    /// Room for one value. Null is an error.
    ///
    /// # Safety
    /// `start` is null, or there is room for a value, which nobody else uses during the call.
    pub unsafe fn one(what: &str, start: *mut T) -> Result<Self> {
        check(what, start)?;
        Ok(Self { start, count: 1 })
    }

    /// As [`Place::one`]. Null is nothing.
    ///
    /// # Safety
    /// That of [`Place::one`].
    pub unsafe fn perhaps(what: &str, start: *mut T) -> Result<Option<Self>> {
        // SAFETY: the caller's.
        (!start.is_null()).then(|| unsafe { Self::one(what, start) }).transpose()
    }

    /// Room for `count` values, of which `wanted` are needed.
    ///
    /// # Safety
    /// `start` is null, or there is room for `count` values, which nobody else uses during the
    /// call.
    pub unsafe fn many(what: &str, start: *mut T, count: usize, wanted: usize) -> Result<Self> {
        check(what, start)?;
        if count != wanted {
            let message = format!("{what} has room for {count} values; the model makes {wanted}");
            return Err(Failure::argument(message));
        }
        Ok(Self { start, count })
    }

    pub fn put(self, value: T) {
        self.fill(&[value]);
    }

    /// Writes as many values as there is room for.
    pub fn fill(self, values: &[T]) {
        assert_eq!(values.len(), self.count, "there is room for other values");
        // SAFETY: not null, aligned, and with room for as many values, which is what the caller of
        // the library promises. `values` are the library's own, so they do not overlap.
        unsafe { self.start.copy_from_nonoverlapping(values.as_ptr(), self.count) };
    }
}

/// A path: UTF-8, or the bytes that the operating system takes.
///
/// # Safety
/// `text` is null or ends with a zero byte, and nobody changes it during the call.
pub(crate) unsafe fn path(text: *const c_char) -> Result<PathBuf> {
    check("the path", text)?;
    // SAFETY: not null. That it ends is what the caller of the library promises.
    let text = unsafe { CStr::from_ptr(text) };
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Ok(std::ffi::OsStr::from_bytes(text.to_bytes()).into())
    }
    #[cfg(not(unix))]
    {
        let text = text.to_str().map_err(|_| Failure::argument("the path is not UTF-8"))?;
        Ok(text.into())
    }
}

fn check<T>(what: &str, start: *const T) -> Result<()> {
    if start.is_null() {
        return Err(Failure::argument(format!("{what} is null")));
    }
    if !start.is_aligned() {
        return Err(Failure::argument(format!("{what} is not aligned for its type")));
    }
    Ok(())
}
