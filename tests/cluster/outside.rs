//! What ranks are expected to do.

use std::time::Duration;

use crate::launch::{Done, ranks};

/// All ranks pass.
fn pass(count: usize, test: &str) {
    if let Some(Done { success, said, .. }) = ranks(count, test) {
        assert!(success, "{said}");
        assert_eq!(said.matches("has passed").count(), count, "{said}");
    }
}

/// The work fails soon, and these words are said.
fn fail(count: usize, test: &str, soon: Duration, words: &[&str]) {
    if let Some(Done { success, said, took }) = ranks(count, test) {
        assert!(!success, "{said}");
        for words in words {
            assert!(said.contains(words), "`{words}` is not in:\n{said}");
        }
        assert!(took < soon, "it took {took:?}:\n{said}");
    }
}

const SOON: Duration = Duration::from_secs(20);

#[test]
fn sums_of_two_are_in_rank_order() {
    pass(2, "inside::sums");
}

#[test]
fn sums_of_three_are_in_rank_order() {
    pass(3, "inside::sums");
}

#[test]
fn bytes_go_round() {
    pass(3, "inside::bytes");
}

#[test]
fn ranks_have_places() {
    pass(2, "inside::places");
}

#[test]
fn errors_are_agreed_on() {
    pass(3, "inside::agreement");
}

/// The launcher ends the others, long before their limit.
#[test]
fn a_rank_that_exits_ends_all() {
    fail(3, "inside::death", SOON, &["1]", "Exit code:    3"]);
}

#[test]
fn a_rank_that_hangs_is_named() {
    fail(3, "inside::hang", SOON, &["0: rank 1 (host ", "2: rank 1 (host ", "within 2 s"]);
}

/// Others are at it when the first one gives up: they are not blamed.
#[test]
fn ranks_that_come_late_are_not_blamed_for_the_one_that_hangs() {
    fail(3, "inside::late", SOON, &["0: rank 1 (host ", "2: rank 1 (host "]);
}

#[test]
fn a_rank_that_fails_tells_the_others() {
    let told = ") failed: a.wav: cannot be read";
    fail(3, "inside::failure", SOON, &["0: rank 1 (host ", "2: rank 1 (host ", told]);
}

/// The launcher ends all ranks as soon as one ends with an error. None does before all are done.
#[test]
fn ranks_that_end_together_wait_for_each_other() {
    let words = ["0: interrupted: Ctrl-C", "2: interrupted: Ctrl-C; the checkpoint is written"];
    fail(3, "inside::interruption", SOON, &words);
}

/// A dead connection says so again, and sums that had begun too.
#[test]
fn after_a_fault_every_call_is_an_error() {
    fail(2, "inside::dead", SOON, &["0: all calls say so"]);
}
