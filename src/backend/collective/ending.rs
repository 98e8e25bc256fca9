//! Errors of one rank become errors of all.

use super::Communicator;
use crate::error::{Error, Result};

/// Makes an error of one rank that of all: where one has failed, all get an error. The failing rank
/// keeps its own, the others get its words and its name. All ranks call this at the same point.
///
/// # Errors
/// This rank's own error, or that of the lowest rank that has one, or a fault of the connection.
pub fn agree<T>(comm: &dyn Communicator, result: Result<T>) -> Result<T> {
    let words = result.as_ref().err().map(told);
    let all = comm.gather(words.unwrap_or_default().into_bytes());
    let value = result?;
    let failed = all?.into_iter().enumerate().find(|(_, words)| !words.is_empty());
    match failed {
        None => Ok(value),
        Some((rank, words)) => {
            let words = String::from_utf8_lossy(&words);
            Err(Error::Training(format!("{} failed: {words}", comm.name(rank))))
        }
    }
}

/// Ends a rank's work. If it went well, this rank takes leave and waits for the others. If not, the
/// others are told, and the caller ends the process with an error. Launchers then end ranks that
/// hang.
///
/// A rank that ends with an error makes the launcher end all others. So this comes back when the
/// others have ended their work too, and what they were writing is complete.
///
/// # Errors
/// That of the work, or of the leave.
pub fn end<T>(comm: &dyn Communicator, result: Result<T>) -> Result<T> {
    match result {
        Ok(value) => comm.finish().map(|()| value),
        Err(error) => {
            comm.fail(&told(&error));
            Err(error)
        }
    }
}

/// An error's words; something is said in any case.
fn told(error: &Error) -> String {
    let words = error.to_string();
    if words.is_empty() { "an error without words".into() } else { words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::collective::Alone;
    use crate::backend::collective::threads::each_rank;

    #[test]
    fn one_rank_s_error_is_that_of_all() {
        let results = each_rank(4, |comm| {
            let result = match comm.rank() {
                0 | 2 => Ok(comm.rank()),
                rank => Err(Error::line("a.lst", rank, "no such file")),
            };
            agree(comm, result).map_err(|error| error.to_string())
        });
        let other = Err("rank 1 failed: a.lst:1: no such file".to_owned());
        assert_eq!(results[0], other);
        assert_eq!(results[1], Err("a.lst:1: no such file".into()));
        assert_eq!(results[2], other);
        assert_eq!(results[3], Err("a.lst:3: no such file".into()));
    }

    #[test]
    fn ranks_without_an_error_keep_what_they_have() {
        let all = each_rank(3, |comm| agree(comm, Ok(comm.rank())).unwrap());
        assert_eq!(all, [0, 1, 2]);
        assert_eq!(end(&Alone, agree(&Alone, Ok(7))).unwrap(), 7);
        let error = end::<()>(&Alone, Err(Error::invalid(""))).unwrap_err();
        assert_eq!((error.to_string(), told(&error)), ("".into(), "an error without words".into()));
    }
}
