//! NVIDIA's library, loaded when it is first asked for.
//!
//! cudarc has bindings, but it looks for `libnccl.so` alone, which only packages for developers
//! have. And it takes results as an enum, in which those of a newer library have no place. So the
//! functions are looked up here. The types of their arguments are cudarc's.

#![allow(unsafe_code, reason = "functions of a library are looked up and called")]

use std::error::Error as _;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::sync::OnceLock;

use cudarc::driver::sys::{CUdeviceptr, CUstream};
use cudarc::nccl::sys::{cudaStream_t, ncclComm_t, ncclDataType_t, ncclRedOp_t, ncclUniqueId};
use libloading::Library as File;

/// Its own name, and the one that packages for developers add.
const NAMES: [&str; 2] = ["libnccl.so.2", "libnccl.so"];

/// `ncclResult_t`.
type Status = c_int;
const SUCCESS: Status = 0;
const IN_PROGRESS: Status = 7;

/// `ncclConfig_t` of NCCL 2.14, the first release that has it. Later ones take it, too.
#[repr(C)]
struct Config {
    size: usize,
    magic: c_uint,
    version: c_uint,
    blocking: c_int,
}

/// The library's functions.
pub struct Library {
    version: c_int,
    unique_id: unsafe extern "C" fn(*mut ncclUniqueId) -> Status,
    connect:
        unsafe extern "C" fn(*mut ncclComm_t, c_int, ncclUniqueId, c_int, *mut Config) -> Status,
    state: unsafe extern "C" fn(ncclComm_t, *mut Status) -> Status,
    all_reduce: unsafe extern "C" fn(
        *const c_void,
        *mut c_void,
        usize,
        ncclDataType_t,
        ncclRedOp_t,
        ncclComm_t,
        cudaStream_t,
    ) -> Status,
    destroy: unsafe extern "C" fn(ncclComm_t) -> Status,
    abort: unsafe extern "C" fn(ncclComm_t) -> Status,
    words: unsafe extern "C" fn(Status) -> *const c_char,
    last: unsafe extern "C" fn(ncclComm_t) -> *const c_char,
    /// It stays loaded for as long as its functions are there.
    _file: File,
}

impl Library {
    /// The library of this machine, or why there is none.
    pub fn get() -> Result<&'static Self, String> {
        static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
        LIBRARY.get_or_init(|| Self::load(NAMES)).as_ref().map_err(Clone::clone)
    }

    /// Loads the library under its own name, or else under the other one.
    fn load([own, other]: [&str; 2]) -> Result<Self, String> {
        // SAFETY: only loads a library by NVIDIA's names for it.
        let open = |name: &str| unsafe { File::new(name) };
        let file = open(own).or_else(|e| open(other).map_err(|_| e)).map_err(|e| {
            let why = e.source().map_or_else(|| e.to_string(), |e| e.to_string());
            format!(
                "NCCL: {own} cannot be loaded ({why}); install NCCL 2.14 or later (Debian, \
                 Ubuntu: libnccl2; pip: nvidia-nccl-cu13) and name its folder in LD_LIBRARY_PATH"
            )
        })?;
        Self::of(file)
    }

    fn of(file: File) -> Result<Self, String> {
        // SAFETY: the types are those of NVIDIA's `nccl.h`. The first function writes a number.
        unsafe {
            let ask: unsafe extern "C" fn(*mut c_int) -> Status =
                function(&file, "ncclGetVersion")?;
            let mut version = 0;
            ask(&raw mut version);
            Ok(Self {
                version,
                unique_id: function(&file, "ncclGetUniqueId")?,
                connect: function(&file, "ncclCommInitRankConfig")?,
                state: function(&file, "ncclCommGetAsyncError")?,
                all_reduce: function(&file, "ncclAllReduce")?,
                destroy: function(&file, "ncclCommDestroy")?,
                abort: function(&file, "ncclCommAbort")?,
                words: function(&file, "ncclGetErrorString")?,
                last: function(&file, "ncclGetLastError")?,
                _file: file,
            })
        }
    }

    /// Its version: `2.27.3`.
    pub fn version(&self) -> String {
        version(self.version)
    }

    /// What all ranks of a new connection must know.
    pub fn unique_id(&self) -> Result<Vec<u8>, String> {
        let mut id = ncclUniqueId { internal: [0; 128] };
        // SAFETY: NCCL writes an identifier.
        self.check(unsafe { (self.unique_id)(&raw mut id) })?;
        Ok(id.internal.iter().flat_map(|byte| byte.to_ne_bytes()).collect())
    }

    /// Whether what was begun is done, or the library's words about why it cannot be.
    fn check(&self, status: Status) -> Result<bool, String> {
        match status {
            SUCCESS => Ok(true),
            IN_PROGRESS => Ok(false),
            _ => {
                // SAFETY: there are words for every status. The last error is not asked of a
                // connection. Both texts stay where they are.
                let [words, last] =
                    unsafe { [text((self.words)(status)), text((self.last)(ptr::null_mut()))] };
                Err(match last.is_empty() {
                    true => format!("NCCL: {words}"),
                    false => format!("NCCL: {words}: {last}"),
                })
            }
        }
    }
}

/// One rank's end of NCCL's connection. It is left open unless it is closed. Its calls do not wait:
/// [`Connection::is_ready`] tells when what they have begun is done or, on the device, launched.
pub struct Connection {
    library: &'static Library,
    comm: ncclComm_t,
}

impl Connection {
    /// Begins to connect this rank of so many. CUDA's context of this thread is that of its GPU.
    pub fn begin(
        library: &'static Library,
        id: &[u8],
        rank: usize,
        size: usize,
    ) -> Result<Self, String> {
        let mut internal = [0; 128];
        internal.iter_mut().zip(id).for_each(|(to, byte)| *to = c_char::from_ne_bytes([*byte]));
        let mut config =
            Config { size: size_of::<Config>(), magic: 0xcafe_beef, version: 21_400, blocking: 0 };
        let number = |n: usize| c_int::try_from(n).map_err(|e| format!("{n} ranks: {e}"));
        let (rank, size) = (number(rank)?, number(size)?);
        let mut comm = ptr::null_mut();
        // SAFETY: NCCL copies identifier and configuration before it comes back, and writes the
        // connection.
        library.check(unsafe {
            (library.connect)(&raw mut comm, size, ncclUniqueId { internal }, rank, &raw mut config)
        })?;
        Ok(Self { library, comm })
    }

    /// Whether what was begun is done, or why it cannot be.
    pub fn is_ready(&self) -> Result<bool, String> {
        let mut state = SUCCESS;
        // SAFETY: the connection is there, and NCCL writes a status.
        self.library.check(unsafe { (self.library.state)(self.comm, &raw mut state) })?;
        self.library.check(state)
    }

    /// Begins to put the sum over ranks in the place of so many f32.
    ///
    /// # Safety
    /// The values lie at this address of the connection's GPU, and the stream is one of it. Until
    /// the stream has done the sum nothing else uses or frees them.
    pub unsafe fn begin_sum(
        &self,
        at: CUdeviceptr,
        count: usize,
        stream: CUstream,
    ) -> Result<(), String> {
        let at = at as *mut c_void;
        // SAFETY: the caller's promise. The connection is there.
        let status = unsafe {
            (self.library.all_reduce)(
                at,
                at,
                count,
                ncclDataType_t::ncclFloat32,
                ncclRedOp_t::ncclSum,
                self.comm,
                stream.cast(),
            )
        };
        self.library.check(status).map(|_| ())
    }

    /// Closes the connection. All ranks do so together, when all is done.
    pub fn close(self) -> Result<(), String> {
        // SAFETY: the connection is there, and nobody can use it after this.
        self.library.check(unsafe { (self.library.destroy)(self.comm) }).map(|_| ())
    }

    /// Gives up what is under way, on the device too. It may wait for ranks that do not come.
    pub fn abort(self) {
        // SAFETY: as above. There is nobody to tell of another failure.
        unsafe { (self.library.abort)(self.comm) };
    }
}

/// A function of a library.
///
/// # Safety
/// `F` is its type.
unsafe fn function<F: Copy>(file: &File, name: &str) -> Result<F, String> {
    // SAFETY: the caller's promise.
    let found = unsafe { file.get::<F>(name) };
    found
        .map(|symbol| *symbol)
        .map_err(|_| format!("NCCL: it has no {name}; 2.14 is the oldest release that serves"))
}

/// A text of the library's in one line; empty without one.
///
/// # Safety
/// The pointer is null, or there is a text that ends.
unsafe fn text(at: *const c_char) -> String {
    if at.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(at) }.to_string_lossy();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `NCCL_VERSION_CODE` in words, by `nccl.h` from 2.9 on.
fn version(code: c_int) -> String {
    format!("{}.{}.{}", code / 10_000, code / 100 % 100, code % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let Err(why) = Library::load(["libnccl-of-nobody.so.2", "libnccl-of-nobody.so"]) else {
            panic!("there is none")
        };
        assert!(why.starts_with("NCCL: libnccl-of-nobody.so.2 cannot be loaded ("), "{why}");
        assert!(why.contains("LD_LIBRARY_PATH"), "{why}");
    }

    /// The C library is there and is no NCCL.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn a_library_without_its_functions_is_told() {
        let Err(why) = Library::load(["libc.so.6"; 2]) else { panic!("it is no NCCL") };
        assert!(why.starts_with("NCCL: it has no ncclGetVersion"), "{why}");
    }

    #[test]
    fn versions_are_read_from_their_code() {
        assert_eq!([21_400, 22_703, 23_012].map(version), ["2.14.0", "2.27.3", "2.30.12"]);
    }
}
