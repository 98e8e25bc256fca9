use super::super::example;
use super::*;

#[test]
fn an_epoch_has_the_means_of_its_steps_and_its_own_test() {
    let (board, now) = example::until(3, 10, (1, 0), |e| *e == Event::Epoch(2));
    // Steps 11 to 20 have losses 4.89 to 4.80; the test after epoch 2 an EER of 8 %.
    assert_eq!(
        board.summary(2),
        "loss 4.845  accuracy 7.75 %  margin 0.2  lr 1.0e-3  EER 8.00 %  minDCF(0.01) 0.500"
    );
    assert_eq!(board.times(now), "30s, 15s left");
    // An epoch without a test does not show that of an earlier epoch.
    assert!(!board.summary(3).contains("EER"));
}

#[test]
fn progress_is_shown_at_every_moment() {
    let position = |last: &dyn Fn(&Event) -> bool| example::until(3, 10, (1, 0), last).0.position();
    assert_eq!(position(&|e| matches!(e, Event::Metric { .. })), "starting");
    assert_eq!(position(&|e| matches!(e, Event::Start { .. })), "epoch 1/3");
    assert_eq!(
        position(&|e| *e == Event::Done { examples: 7 * example::BATCH }),
        "epoch 1/3  step 7/10"
    );
    assert_eq!(position(&|e| *e == Event::Test), "epoch 1/3  dev test");
    assert_eq!(position(&|e| *e == Event::Epoch(1)), "epoch 2/3  step 0/10");
    assert_eq!(position(&|e| *e == Event::End), "epoch 3/3  done");
}

#[test]
fn time_left_is_known_from_the_first_step_on() {
    let times = |last: &dyn Fn(&Event) -> bool| {
        let (board, now) = example::until(3, 100, (1, 0), last);
        board.times(now)
    };
    assert_eq!(times(&|e| matches!(e, Event::Start { .. })), "0s");
    assert_eq!(times(&|e| *e == Event::Done { examples: 20 * example::BATCH }), "20s, 5m left");
    assert_eq!(times(&|e| *e == Event::End), "5m15s");
}

#[test]
fn curves_run_over_epochs_and_the_best_test_is_kept() {
    let (board, _) = example::until(4, 10, (2, 5), |e| *e == Event::Epoch(3));
    let loss = board.metrics[0].curve.points();
    assert_eq!((loss.len(), loss[0].0, loss[14].0), (15, 1.6, 3.0));
    let eer = &board.metrics[4];
    assert_eq!(eer.tests, [(2.0, 8.0), (3.0, 7.0)]);
    assert_eq!((eer.best, eer.tested), (Some((7.0, 3)), Some((7.0, 3))));
    // EER is not measured in steps, and the loss not in dev tests.
    assert!(eer.last.is_none() && board.metrics[0].best.is_none());
}

#[test]
fn worse_tests_do_not_replace_the_best_and_better_is_a_matter_of_the_metric() {
    let best = |higher_is_better: bool, values: [f64; 4]| {
        let mut metric = Metric::new("EER", Some("%"), higher_is_better);
        values.iter().zip(1..).for_each(|(&v, epoch)| metric.test(v, epoch));
        (metric.best, metric.tested.map(|t| t.1))
    };
    assert_eq!(best(false, [8.0, 6.0, 7.0, f64::NAN]), (Some((6.0, 2)), Some(4)));
    assert_eq!(best(true, [8.0, 6.0, 9.0, 8.5]), (Some((9.0, 3)), Some(4)));
}

#[test]
fn a_resumed_run_remembers_its_earlier_epochs() {
    let now = Instant::now();
    let dev = |epoch: usize, value: f64| Past { epoch, name: "EER", value, dev: true };
    let past =
        vec![dev(1, 5.0), Past { epoch: 1, name: "loss", value: 3.0, dev: false }, dev(2, 6.0)];
    let mut board = Board::new(Plan { batch_size: 4, past, ..Plan::default() }, now);
    example::metrics().iter().for_each(|m| board.take(m, now));
    board.take(&Event::Start { epochs: 4, epoch: 3 }, now);
    assert_eq!(board.metrics[4].best, Some((5.0, 1)));
    assert_eq!(board.metrics[0].curve.points(), [(1.0, 3.0)]);
    // The lines of this process leave out earlier epochs.
    assert_eq!(board.summary(3), "");
}

#[test]
fn a_resumed_epoch_has_the_mean_of_all_its_steps() {
    let now = Instant::now();
    let made = Some((3, vec![("loss", 9.0), ("accuracy", 60.0)]));
    let mut board = Board::new(Plan { batch_size: 4, made, ..Plan::default() }, now);
    example::metrics().iter().for_each(|m| board.take(m, now));
    board.take(&Event::Start { epochs: 4, epoch: 2 }, now);
    board.take(&Event::Train { examples: 16 }, now);
    board.take(&Event::Step { metric: 0, value: 1.0 }, now);
    assert_eq!((board.metrics[0].mean(), board.metrics[1].mean()), (Some(2.5), Some(20.0)));
    // The next epoch starts from zero.
    board.take(&Event::Train { examples: 16 }, now);
    assert_eq!(board.metrics[0].mean(), None);
}
