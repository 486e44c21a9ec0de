//! What the keys do, and what is chosen by them. Pure; the keys are those of tokio-console where it has any.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::topics::Column;

/// What is on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum View {
    #[default]
    Overview,
    Topics,
    Alarms,
    Tree,
}

impl View {
    /// With their keys.
    pub(super) const ALL: [(View, char, &'static str); 4] = [
        (View::Overview, 'o', "overview"),
        (View::Topics, 't', "topics"),
        (View::Alarms, 'a', "alarms"),
        (View::Tree, 's', "$SYS"),
    ];

    fn next(self) -> View {
        let at = View::ALL.iter().position(|(view, _, _)| *view == self);
        View::ALL[(at.unwrap_or_default() + 1) % View::ALL.len()].0
    }
}

/// What is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) view: View,
    /// The first line of a list that is shown.
    pub(super) scroll: usize,
    pub(super) sort: Column,
    pub(super) inverted: bool,
    pub(super) is_paused: bool,
    pub(super) shows_help: bool,
    /// What is being typed as a filter.
    pub(super) typing: Option<String>,
    /// The first `g` of `gg`.
    pub(super) half_typed: bool,
}

/// What is asked of others.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Quit,
    /// Begin or stop to hold the picture.
    Pause(bool),
    /// Look at the topics of another filter; at none if it is empty.
    Filter(String),
}

/// Characters of a filter that can be typed.
const TYPED_MAX: usize = 256;

impl Choice {
    /// Does what a key asks for. `filter` is the one that holds, `lines` how many the list on the screen has.
    pub(super) fn handle(&mut self, key: KeyEvent, filter: &str, lines: usize) -> Effect {
        if key.kind == KeyEventKind::Release {
            return Effect::Nothing;
        }
        let has_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if has_control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Effect::Quit;
        }
        if self.typing.is_some() {
            return self.handle_typing(key.code);
        }
        let half_typed = std::mem::take(&mut self.half_typed);
        match key.code {
            KeyCode::Esc if self.shows_help => self.shows_help = false,
            KeyCode::Esc => self.show(View::Overview),
            KeyCode::Char('?') => self.shows_help = !self.shows_help,
            KeyCode::Char('q') => return Effect::Quit,
            KeyCode::Char(' ') => {
                self.is_paused = !self.is_paused;
                return Effect::Pause(self.is_paused);
            }
            KeyCode::Char('f' | '/') => {
                self.show(View::Topics);
                self.typing = Some(filter.to_owned());
            }
            KeyCode::Tab => self.show(self.view.next()),
            KeyCode::Char('i') => self.inverted = !self.inverted,
            KeyCode::Left | KeyCode::Char('h') => self.sort = self.sort.step(-1),
            KeyCode::Right | KeyCode::Char('l') => self.sort = self.sort.step(1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll_to(self.scroll + 1, lines),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(10),
            KeyCode::PageDown => self.scroll_to(self.scroll + 10, lines),
            KeyCode::Home => self.scroll = 0,
            KeyCode::Char('g') if half_typed => self.scroll = 0,
            KeyCode::Char('g') => self.half_typed = true,
            KeyCode::End | KeyCode::Char('G') => self.scroll_to(usize::MAX, lines),
            KeyCode::Char(key) => {
                if let Some((view, _, _)) = View::ALL.iter().find(|(_, own, _)| *own == key) {
                    self.show(*view);
                }
            }
            _ => {}
        }
        Effect::Nothing
    }

    fn handle_typing(&mut self, key: KeyCode) -> Effect {
        let Some(text) = &mut self.typing else {
            return Effect::Nothing;
        };
        match key {
            KeyCode::Esc => self.typing = None,
            KeyCode::Enter => {
                let text = std::mem::take(text);
                self.typing = None;
                return Effect::Filter(text);
            }
            KeyCode::Backspace => {
                text.pop();
            }
            KeyCode::Char(c) if text.chars().count() < TYPED_MAX => text.push(c),
            _ => {}
        }
        Effect::Nothing
    }

    fn show(&mut self, view: View) {
        self.shows_help = false;
        if self.view != view {
            self.view = view;
            self.scroll = 0;
        }
    }

    fn scroll_to(&mut self, line: usize, lines: usize) {
        self.scroll = line.min(lines.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(choice: &mut Choice, keys: &str) -> Effect {
        let mut effect = Effect::Nothing;
        for c in keys.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\x1b' => KeyCode::Esc,
                '\x08' => KeyCode::Backspace,
                '\t' => KeyCode::Tab,
                c => KeyCode::Char(c),
            };
            effect = choice.handle(KeyEvent::new(code, KeyModifiers::NONE), "home/#", 50);
        }
        effect
    }

    #[test]
    fn views_have_keys_and_follow_one_another() {
        let mut choice = Choice::default();
        press(&mut choice, "s");
        assert_eq!(choice.view, View::Tree);
        press(&mut choice, "\t");
        assert_eq!(choice.view, View::Overview);
        press(&mut choice, "a?");
        assert!(choice.shows_help);
        press(&mut choice, "\x1b");
        assert_eq!((choice.shows_help, choice.view), (false, View::Alarms));
        press(&mut choice, "\x1b");
        assert_eq!(choice.view, View::Overview);
    }

    #[test]
    fn lists_scroll_between_their_ends() {
        let mut choice = Choice::default();
        press(&mut choice, "jjjk");
        assert_eq!(choice.scroll, 2);
        press(&mut choice, "G");
        assert_eq!(choice.scroll, 49);
        press(&mut choice, "j");
        assert_eq!(choice.scroll, 49);
        press(&mut choice, "gjg");
        assert_eq!(choice.scroll, 49, "only gg is the top");
        press(&mut choice, "gg");
        assert_eq!(choice.scroll, 0);
        press(&mut choice, "jt");
        assert_eq!(choice.scroll, 0, "another view begins at its top");
    }

    #[test]
    fn a_filter_is_typed_and_given_at_its_end() {
        let mut choice = Choice::default();
        press(&mut choice, "f\x08+q");
        assert_eq!(choice.typing.as_deref(), Some("home/+q"));
        assert_eq!(
            press(&mut choice, "\n"),
            Effect::Filter("home/+q".to_owned())
        );
        assert_eq!((choice.view, choice.typing.is_none()), (View::Topics, true));
        press(&mut choice, "fx");
        assert_eq!(press(&mut choice, "\x1b"), Effect::Nothing);
        assert_eq!(choice.typing, None);
    }

    #[test]
    fn columns_are_chosen_and_turned_round() {
        let mut choice = Choice::default();
        press(&mut choice, "li");
        assert_eq!((choice.sort, choice.inverted), (Column::ByteRate, true));
        press(&mut choice, "hhi");
        assert_eq!((choice.sort, choice.inverted), (Column::Topic, false));
    }

    #[test]
    fn pausing_and_leaving_are_asked_of_others() {
        let mut choice = Choice::default();
        assert_eq!(press(&mut choice, " "), Effect::Pause(true));
        assert_eq!(press(&mut choice, " "), Effect::Pause(false));
        assert_eq!(press(&mut choice, "q"), Effect::Quit);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        press(&mut choice, "f");
        assert_eq!(choice.handle(interrupt, "", 0), Effect::Quit);
    }
}
