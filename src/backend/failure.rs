//! Classifies the messages of backends, which report a full memory, a lost device or a wrong kernel
//! by panics. Their words are CubeCL's (0.11), wgpu's, and the names and numbers of CUDA's driver.

use crate::error::{Error, Remedy};

/// Parts of messages about a full memory, in lower case.
const FULL: [&str; 9] = [
    "out of memory",
    "out-of-memory",
    "out_of_memory",
    "out of device memory",
    "outofmemory",
    "not enough memory left",
    "allocate buffer of size",
    "buffertoobig",
    "every page size the memory tracks",
];

/// What backends say when the device does not answer any more.
const LOST: [&str; 6] = [
    "device is poisoned",
    "device was poisoned",
    "devicepoisoned",
    "device was lost",
    "device lost",
    "device is lost",
];

/// What NVRTC says to a GPU that is newer than itself.
const UNKNOWN_GPU: &str = "--gpu-architecture";

/// What an error of CUDA's driver means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cuda {
    /// The memory is full.
    Full,
    /// The device, its driver or its link is out of order.
    Lost,
    /// A kernel did what it may not do. The process cannot use the device any more.
    Kernel,
    /// The driver and the toolkit that compiled the kernel do not fit each other.
    Toolkit,
}

/// CUDA's errors by number (`failed with status 700`) and by name (`CUDA_ERROR_ILLEGAL_ADDRESS`).
/// The driver API's reference says of the kernels' and of most others that the context is of no use
/// after them.
const CUDA: [(u64, &str, Cuda); 18] = [
    (2, "out_of_memory", Cuda::Full),
    (209, "no_binary_for_gpu", Cuda::Toolkit),
    (214, "ecc_uncorrectable", Cuda::Lost),
    (220, "nvlink_uncorrectable", Cuda::Lost),
    (222, "unsupported_ptx_version", Cuda::Toolkit),
    (226, "contained", Cuda::Lost),
    (700, "illegal_address", Cuda::Kernel),
    (702, "launch_timeout", Cuda::Lost),
    (709, "context_is_destroyed", Cuda::Lost),
    (710, "assert", Cuda::Kernel),
    (714, "hardware_stack_error", Cuda::Kernel),
    (715, "illegal_instruction", Cuda::Kernel),
    (716, "misaligned_address", Cuda::Kernel),
    (717, "invalid_address_space", Cuda::Kernel),
    (718, "invalid_pc", Cuda::Kernel),
    (719, "launch_failed", Cuda::Kernel),
    (802, "system_not_ready", Cuda::Lost),
    (999, "unknown", Cuda::Lost),
];

/// The error behind a backend's own words: [`Error::OutOfMemory`]; [`Error::DeviceLost`], or a
/// kernel that failed (with [`Remedy::TestDevice`]); a toolkit that does not fit the GPU (with
/// [`Remedy::OtherToolkit`]); or, with all of the words, [`Error::Backend`].
pub fn failure(words: &str) -> Error {
    let low = words.to_lowercase();
    let first = || words.lines().next().unwrap_or_default().to_owned();
    let cuda = cuda(&low);
    if low.contains(UNKNOWN_GPU) || cuda == Some(Cuda::Toolkit) {
        let message = format!("CUDA's toolkit does not fit this GPU and driver: {}", brief(words));
        return Error::Backend(message).with(Remedy::OtherToolkit);
    }
    if cuda == Some(Cuda::Full) || FULL.iter().any(|words| low.contains(words)) {
        return Error::OutOfMemory { asked: asked(&low), words: first() };
    }
    if cuda == Some(Cuda::Kernel) {
        let message = format!("a kernel failed and left the device unusable: {}", first());
        return Error::Backend(message).with(Remedy::TestDevice);
    }
    if cuda == Some(Cuda::Lost) || LOST.iter().any(|words| low.contains(words)) {
        return Error::DeviceLost { words: first() }.with(Remedy::TestDevice);
    }
    Error::Backend(format!("the backend failed: {words}"))
}

/// The words without a kernel's source, which CubeCL adds to a compiler's message.
pub(super) fn brief(words: &str) -> &str {
    words.split("[Source]").next().unwrap_or(words).trim_end()
}

/// The meaning of the driver's error in the words (in lower case), if there is one.
fn cuda(words: &str) -> Option<Cuda> {
    let status = number(words, "failed with status ");
    let named = |name: &str| {
        let rest = words.split("cuda_error_").skip(1);
        rest.map(|rest| rest.strip_prefix(name)).any(|rest| {
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    };
    let found = CUDA.iter().find(|(code, name, _)| status == Some(*code) || named(name));
    found.map(|&(.., meaning)| meaning)
}

/// The bytes of the allocation that failed, if the words (in lower case) name them.
fn asked(words: &str) -> Option<u64> {
    ["memory allocating ", "buffer of size: ", "can't allocate "]
        .into_iter()
        .find_map(|after| number(words, after))
}

/// The number behind the first of these words.
fn number(words: &str, after: &str) -> Option<u64> {
    let digits: String =
        words.split(after).nth(1)?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
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
        for told in [
            "Failed to allocate buffer of size: 4096",
            "Can't allocate 4096 bytes: every page size the memory tracks still holds live \
             allocations",
        ] {
            assert_eq!(of(told), (Some(4096), told.into()));
        }
        for told in [
            "CUDA_ERROR_OUT_OF_MEMORY",
            // Named by cudarc and by CubeCL.
            "CUDA allocation error: DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")",
            "cuStreamCreate failed with status 2",
            // wgpu reports it to whoever handles errors, and some drivers' as the device's loss.
            "wgpu error: Out of Memory",
            "In Device::create_buffer: Not enough memory left.",
            "The device is poisoned Caused by: Unknown: Out of memory",
        ] {
            assert_eq!(of(told), (None, told.into()));
        }
        // A number that no memory has is none.
        assert_eq!(of("out of memory allocating 99999999999999999999 bytes").0, None);
        let text = failure("out of device memory allocating 419430400 bytes").to_string();
        assert_eq!(text, "the device has no memory left: 400.0 MiB were asked for");
    }

    #[test]
    fn a_lost_device_is_to_be_tested() {
        for text in [
            "DevicePoisoned: Unknown: gone",
            "Device lost\nat queue",
            "CUDA_ERROR_UNKNOWN",
            // wgpu's reasons behind CubeCL's words.
            "The device is poisoned Caused by: Unknown: Device is lost",
            "The device was poisoned during launch Caused by: Destroyed: ",
            "The device is poisoned: Unknown: Unexpected error variant (driver implementation is \
             at fault)",
            "In Queue::submit: Parent device is lost",
            // A GPU that fell off the bus, one with bad memory, one that a screen waited for.
            "cuEventRecord failed with status 999",
            "The device is poisoned Caused by: cuStreamSynchronize failed with status 214",
            "DriverError(CUDA_ERROR_LAUNCH_TIMEOUT, \"the launch timed out and was terminated\")",
        ] {
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
    fn a_wrong_kernel_is_no_lost_device() {
        for text in [
            "The device is poisoned Caused by: cuEventSynchronize failed with status 700",
            "memcpy_dtod_async failed with status 716",
            "DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"an illegal memory access was encountered\")",
            "Unable to load the PTX: DriverError(CUDA_ERROR_LAUNCH_FAILED, \"unspecified\")",
        ] {
            let error = failure(text);
            assert_eq!(error.remedy(), Some(&Remedy::TestDevice), "{text}");
            assert!(matches!(error.bare(), Error::Backend(_)), "{error:?}");
            assert!(error.to_string().ends_with(&format!("left the device unusable: {text}")));
        }
    }

    #[test]
    fn a_gpu_that_the_toolkit_does_not_know_is_told() {
        for text in [
            "[Compilation Error] nvrtc: error: invalid value for --gpu-architecture (-arch) \
             [Source] extern \"C\" __global__ void kernel() {}",
            "Unable to load the PTX: DriverError(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, \"the \
             provided PTX was compiled with an unsupported toolchain.\")",
        ] {
            let error = failure(text);
            assert_eq!(error.remedy(), Some(&Remedy::OtherToolkit), "{text}");
            assert!(!error.to_string().contains("__global__"), "{error}");
        }
    }

    #[test]
    fn other_failures_keep_their_words() {
        for text in [
            "index out of bounds (a.rs:3)",
            // A lock is poisoned by any panic of its holder.
            "called `Result::unwrap()` on an `Err` value: PoisonError { .. }: poisoned lock",
            // Wrong arguments, and a name that begins like another.
            "cuLaunchKernel failed with status 1",
            "DriverError(CUDA_ERROR_INVALID_VALUE, \"invalid argument\")",
            "CUDA_ERROR_ASSERTED",
        ] {
            let error = failure(text);
            assert!(matches!(error, Error::Backend(_)), "{error:?}");
            assert_eq!(error.to_string(), format!("the backend failed: {text}"));
        }
    }
}
