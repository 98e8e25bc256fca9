//! Threads, of which WebAssembly has none: none starts. The standard library links with these
//! functions, which Debian's libc lacks.

use std::ffi::{c_int, c_void};

/// WASI's `ENOSYS`.
const NO_SUCH_FUNCTION: c_int = 52;

#[unsafe(no_mangle)]
extern "C" fn pthread_attr_init(_attributes: *mut c_void) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_attr_setstacksize(_attributes: *mut c_void, _bytes: usize) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_attr_destroy(_attributes: *mut c_void) -> c_int {
    0
}

#[unsafe(no_mangle)]
extern "C" fn pthread_create(
    _thread: *mut c_void,
    _attributes: *const c_void,
    _main: *const c_void,
    _argument: *mut c_void,
) -> c_int {
    NO_SUCH_FUNCTION
}

#[unsafe(no_mangle)]
extern "C" fn pthread_join(_thread: *mut c_void, _result: *mut c_void) -> c_int {
    NO_SUCH_FUNCTION
}

#[unsafe(no_mangle)]
extern "C" fn pthread_detach(_thread: *mut c_void) -> c_int {
    NO_SUCH_FUNCTION
}
