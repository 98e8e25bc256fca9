//! Makes text in parts on all cores, and writes the parts in order.

use std::io::{self, Write};
use std::sync::mpsc::sync_channel;
use std::thread;

use rayon::prelude::*;

/// Parts that are made at a time. As many more may wait to be written.
const TOGETHER: usize = 64;

/// Writes the texts `make(0)` to `make(count - 1)`. `done` gets the number of parts written since
/// its last call.
pub(super) fn write_parts(
    out: &mut dyn Write,
    count: usize,
    make: &(dyn Fn(usize) -> String + Sync),
    done: &mut dyn FnMut(usize),
) -> io::Result<()> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Vec<String>>(1);
        scope.spawn(move || {
            for first in (0..count).step_by(TOGETHER) {
                let some = (first..count.min(first + TOGETHER)).into_par_iter().map(make).collect();
                // The receiver is gone after a write error.
                if sender.send(some).is_err() {
                    return;
                }
            }
        });
        for some in receiver {
            for text in &some {
                out.write_all(text.as_bytes())?;
            }
            done(some.len());
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_in_order() {
        for count in [0, 1, TOGETHER, 3 * TOGETHER + 5] {
            let (mut out, mut steps) = (Vec::new(), Vec::new());
            // Some take longer than others.
            let make = |i: usize| "x".repeat(1000 * (i * 7 % 5)) + &format!("{i}\n");
            write_parts(&mut out, count, &make, &mut |parts| steps.push(parts)).unwrap();
            let text = String::from_utf8(out).unwrap().replace('x', "");
            assert!(text.lines().map(|l| l.parse::<usize>().unwrap()).eq(0..count));
            assert!(
                steps.iter().sum::<usize>() == count && steps.len() == count.div_ceil(TOGETHER),
                "{steps:?}"
            );
        }
    }

    #[test]
    fn a_full_disk_ends_the_work() {
        struct Full(usize);

        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let mut written = 0;
        let error = write_parts(&mut Full(500), 100_000, &|i| format!("{i}\n"), &mut |parts| {
            written += parts
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(written < 1000, "{written}");
    }
}
