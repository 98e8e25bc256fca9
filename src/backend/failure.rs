//! Classifies the messages of backends, which report a full memory or a lost device by panics.

use crate::error::{Error, Remedy};

/// Parts of messages about a full memory.
const FULL: [&str; 7] = [
    "out of memory",
    "out-of-memory",
    "out_of_memory",
    "out of device memory",
    "outofmemory",
    "allocate buffer of size",
    "buffertoobig",
];

/// What backends say when the device does not answer any more.
const LOST: [&str; 5] =
    ["poisoned", "device was lost", "device lost", "cuda_error", "device is lost"];

/// The error behind a backend's own words: [`Error::OutOfMemory`], [`Error::DeviceLost`] (with
/// [`Remedy::TestDevice`]) or, with all of the words, [`Error::Backend`].
pub fn failure(words: &str) -> Error {
    let low = words.to_lowercase();
    let first = || words.lines().next().unwrap_or_default().to_owned();
    if FULL.iter().any(|words| low.contains(words)) {
        return Error::OutOfMemory { asked: asked(&low), words: first() };
    }
    if LOST.iter().any(|words| low.contains(words)) {
        return Error::DeviceLost { words: first() }.with(Remedy::TestDevice);
    }
    Error::Backend(format!("the backend failed: {words}"))
}

/// The bytes of the allocation that failed, if the words (in lower case) name them.
fn asked(words: &str) -> Option<u64> {
    let number = |after: &str| {
        let digits =
            words.split(after).nth(1)?.chars().take_while(char::is_ascii_digit).collect::<String>();
        digits.parse().ok()
    };
    number("memory allocating ").or_else(|| number("buffer of size: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_says_what_was_asked_of_it() {
        let of = |text: &str| match failure(text) {
            Error::OutOfMemory { asked, words } => (asked, words),
            other => panic!("{text}: {other}"),
        };
        let told = "out of device memory allocating 419430400 bytes";
        assert_eq!(of(&format!("{told}\nbacktrace")), (Some(400 << 20), told.into()));
        let told = "Failed to allocate buffer of size: 4096";
        assert_eq!(of(told), (Some(4096), told.into()));
        let told = "CUDA_ERROR_OUT_OF_MEMORY";
        assert_eq!(of(told), (None, told.into()));
        // A number that no memory has is none.
        assert_eq!(of("out of memory allocating 99999999999999999999 bytes").0, None);
        let text = failure("out of device memory allocating 419430400 bytes").to_string();
        assert_eq!(text, "the device has no memory left: 400.0 MiB were asked for");
    }

    #[test]
    fn a_lost_device_is_to_be_tested() {
        for text in ["DevicePoisoned: Unknown: gone", "Device lost\nat queue", "CUDA_ERROR_UNKNOWN"]
        {
            let error = failure(text);
            assert_eq!(error.remedy(), Some(&Remedy::TestDevice), "{text}");
            let first = text.lines().next().unwrap();
            assert!(
                matches!(error.bare(), Error::DeviceLost { words } if words == first),
                "{error}"
            );
        }
    }

    #[test]
    fn other_failures_keep_their_words() {
        let error = failure("index out of bounds (a.rs:3)");
        assert!(matches!(error, Error::Backend(_)), "{error:?}");
        assert_eq!(error.to_string(), "the backend failed: index out of bounds (a.rs:3)");
    }
}
