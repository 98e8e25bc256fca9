use super::*;
use crate::train::Identity;

/// Two steps were queued with a scale that is too large for both. It falls once.
#[test]
fn a_scale_falls_once_for_each_time_it_was_too_large() {
    let mut state = State::start(Identity::default());
    assert!(!rescale(&mut state, 1.0, false), "without a scale there is nothing to search");
    state.loss_scale = Some(LossScale::new());
    let factor = |state: &State| state.loss_scale.as_ref().unwrap().factor();
    let first = factor(&state);
    assert!(rescale(&mut state, first, false) && rescale(&mut state, first, false));
    assert_eq!(factor(&state), first / 2.0);
    let second = factor(&state);
    assert!(!rescale(&mut state, second, true));
    assert!(rescale(&mut state, second, false));
    assert_eq!(factor(&state), first / 4.0);
    // At the least scale the gradients themselves are at fault.
    let least = |state: &State| state.loss_scale.as_ref().unwrap().is_least();
    while !least(&state) {
        let used = factor(&state);
        assert!(rescale(&mut state, used, false));
    }
    assert!(!rescale(&mut state, 1.0, false));
}
