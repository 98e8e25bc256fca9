//! The dashboard's keys.

use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};

/// The action of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Stop the training.
    Stop,
    /// Draw the previous metric.
    Previous,
    /// Draw the next metric.
    Next,
    /// Nothing.
    Nothing,
}

/// The action that an event of the terminal asks for.
pub(super) fn key(event: &Event) -> Action {
    let Event::Key(key) = event else { return Action::Nothing };
    // Some terminals report a key's release as well.
    if key.kind != KeyEventKind::Press {
        return Action::Nothing;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'C') if control => Action::Stop,
        KeyCode::Char('q' | 'Q') if !control => Action::Stop,
        KeyCode::Left => Action::Previous,
        KeyCode::Right => Action::Next,
        _ => Action::Nothing,
    }
}

/// The index of the metric to draw after an action. There are `count` metrics.
pub(super) fn turn(chosen: usize, action: Action, count: usize) -> usize {
    let count = count.max(1);
    match action {
        Action::Previous => (chosen + count - 1) % count,
        Action::Next => (chosen + 1) % count,
        Action::Stop | Action::Nothing => chosen,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    fn pressed(code: KeyCode, modifiers: KeyModifiers) -> Action {
        key(&Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn control_c_and_q_stop_and_arrows_choose_a_metric() {
        let none = KeyModifiers::NONE;
        assert_eq!(pressed(KeyCode::Char('c'), KeyModifiers::CONTROL), Action::Stop);
        assert_eq!(pressed(KeyCode::Char('q'), none), Action::Stop);
        assert_eq!(pressed(KeyCode::Char('Q'), KeyModifiers::SHIFT), Action::Stop);
        assert_eq!(pressed(KeyCode::Left, none), Action::Previous);
        assert_eq!(pressed(KeyCode::Right, none), Action::Next);
        // Keys typed by mistake do nothing.
        assert_eq!(pressed(KeyCode::Char('c'), none), Action::Nothing);
        assert_eq!(pressed(KeyCode::Char('q'), KeyModifiers::CONTROL), Action::Nothing);
        assert_eq!(pressed(KeyCode::Esc, none), Action::Nothing);
        assert_eq!(key(&Event::Resize(80, 24)), Action::Nothing);
    }

    #[test]
    fn a_released_key_is_not_a_second_press() {
        let released = KeyEvent::new_with_kind(
            KeyCode::Char('c'),
            KeyModifiers::CONTROL,
            KeyEventKind::Release,
        );
        assert_eq!(key(&Event::Key(released)), Action::Nothing);
    }

    #[test]
    fn metrics_go_round() {
        assert_eq!(turn(0, Action::Next, 3), 1);
        assert_eq!(turn(2, Action::Next, 3), 0);
        assert_eq!(turn(0, Action::Previous, 3), 2);
        assert_eq!(turn(1, Action::Stop, 3), 1);
        assert_eq!(turn(0, Action::Previous, 0), 0);
    }
}
