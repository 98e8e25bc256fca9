//! Ranks as threads.

use std::time::Instant;

use super::first::by_first_every;
use super::*;
use crate::backend::collective::Alone;
use crate::backend::collective::threads::each_rank;

fn words<T>(result: Result<T>) -> Result<T, String> {
    result.map_err(|e| e.to_string())
}

/// The others wait for work that is much longer than the interval, and hear of its end.
#[test]
fn the_others_wait_for_the_first() {
    let pause = Duration::from_millis(50);
    let begun = Instant::now();
    let done = each_rank(3, |ranks| {
        let work = || {
            thread::sleep(4 * pause);
            Ok(ranks.rank())
        };
        let done = words(by_first_every(ranks, pause, work));
        (done, begun.elapsed() >= 4 * pause, ranks.sum_f64(&[1.0]).unwrap())
    });
    let none = (Ok(None), true, vec![3.0]);
    assert_eq!(done, [(Ok(Some(0)), true, vec![3.0]), none.clone(), none]);
    assert_eq!(words(by_first(&Alone, || Ok(7))), Ok(Some(7)));
}

#[test]
fn the_first_one_s_error_is_that_of_all() {
    let fails = || Err::<(), _>(Error::invalid("no room"));
    let done = each_rank(2, |ranks| words(by_first(ranks, fails)));
    assert_eq!(done[0], Err("no room".to_owned()));
    assert_eq!(done[1], Err("rank 0 failed: no room".to_owned()));
    assert!(by_first(&Alone, fails).is_err());
}

#[test]
fn one_rank_stops_or_fails_for_all() {
    let met = |fails: usize, stops: usize| {
        each_rank(3, |ranks| {
            let fault = || Err(Error::invalid("lost"));
            let done = if ranks.rank() == fails { fault() } else { Ok(()) };
            words(meet(ranks, done, ranks.rank() == stops))
        })
    };
    assert_eq!(met(9, 9), [Ok(false), Ok(false), Ok(false)]);
    assert_eq!(met(9, 2), [Ok(true), Ok(true), Ok(true)]);
    let other = Err("rank 1 failed: lost".to_owned());
    assert_eq!(met(1, 1), [other.clone(), Err("lost".to_owned()), other]);
    assert!(!meet(&Alone, Ok(()), false).unwrap() && meet(&Alone, Ok(()), true).unwrap());
}

#[test]
fn numbers_of_the_first_one_go_to_all() {
    let all = each_rank(3, |ranks| {
        let own = ranks.rank() as f64;
        of_first(ranks, [0.25 + own, f64::NAN, -1e300 * (1.0 - own)]).unwrap()
    });
    let bits = |numbers: &[f64; 3]| numbers.map(f64::to_bits);
    assert!(all[0][..1] == [0.25] && all[0][1].is_nan() && all[0][2] == -1e300);
    assert!(all.iter().all(|numbers| bits(numbers) == bits(&all[0])), "{all:?}");
}

#[test]
fn a_rank_that_differs_is_named_with_all_that_differs() {
    let hash = |x: &str| x.repeat(64);
    let checked = |theirs: [(&str, String); 2]| {
        let ours = [("version", "1.2.3".to_owned()), ("data.train", hash("a"))];
        each_rank(3, |ranks| {
            let told = if ranks.rank() == 1 { theirs.clone() } else { ours.clone() };
            words(alike(ranks, &told))
        })
    };
    let same = checked([("version", "1.2.3".into()), ("data.train", hash("a"))]);
    assert_eq!(same, [Ok(()), Ok(()), Ok(())]);
    let wanted = "rank 1 differs from rank 0: version 1.2.4, on rank 0 1.2.3; data.train";
    let other = checked([("version", "1.2.4".into()), ("data.train", hash("b"))]);
    assert!(other.iter().all(|said| *said == Err(wanted.to_owned())), "{other:?}");
    let wanted = "rank 1 differs from rank 0: data.train";
    let other = checked([("version", "1.2.3".into()), ("another", hash("a"))]);
    assert!(other.iter().all(|said| *said == Err(wanted.to_owned())), "{other:?}");
}
