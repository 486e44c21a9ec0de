//! The terminal: keys in, pictures out. It is as it was when this ends, also by a signal, an error or a panic.

use std::pin::pin;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{Event, EventStream};

use super::feed::Feed;
use super::keys::{Choice, Effect};
use super::model::Model;
use super::topics::Topics;
use super::view::{Picture, Theme};

/// The terminal while it is ours.
struct Screen(DefaultTerminal);

impl Screen {
    /// A panic restores the terminal before it is told.
    fn open() -> anyhow::Result<Screen> {
        ratatui::try_init()
            .map(Screen)
            .context("the terminal cannot be used")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody left to be told.
        let _ = ratatui::try_restore();
    }
}

/// Shows the feed until a key or `stop` ends it.
pub(super) async fn show(
    feed: &mut Feed,
    theme: Theme,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut screen = Screen::open()?;
    let mut stop = pin!(stop);
    let mut events = EventStream::new();
    let mut choice = Choice::default();
    let mut held: Option<(Model, Topics)> = None;
    loop {
        let lines = draw(&mut screen, feed, held.as_ref(), &choice, theme)?;
        tokio::select! {
            () = &mut stop => return Ok(()),
            moment = feed.next_moment() => moment?,
            event = events.next() => {
                // Whose terminal is gone wants nothing more.
                let Some(event) = event else { return Ok(()) };
                let Event::Key(key) = event.context("the keys cannot be read")? else {
                    continue;
                };
                match choice.handle(key, feed.filter(), lines) {
                    Effect::Nothing => {}
                    Effect::Quit => return Ok(()),
                    Effect::Pause(true) => held = Some((feed.model.clone(), feed.topics().clone())),
                    Effect::Pause(false) => held = None,
                    Effect::Filter(filter) => {
                        feed.model.trouble = feed.choose(&filter).err().map(|error| format!("{error:#}"));
                    }
                }
            }
        }
    }
}

/// Draws, and says how many lines the list has that is shown.
fn draw(
    screen: &mut Screen,
    feed: &Feed,
    held: Option<&(Model, Topics)>,
    choice: &Choice,
    theme: Theme,
) -> anyhow::Result<usize> {
    with_picture(feed, held, choice, theme, |picture| {
        let drawn = screen.0.draw(|frame| picture.draw(frame));
        drawn.context("the terminal cannot be written to")?;
        Ok(picture.lines())
    })
}

/// The picture that is held, or the one of now.
fn with_picture<T>(
    feed: &Feed,
    held: Option<&(Model, Topics)>,
    choice: &Choice,
    theme: Theme,
    with: impl FnOnce(&Picture<'_>) -> T,
) -> T {
    let picture = |model, topics| {
        with(&Picture {
            model,
            topics,
            filter: feed.filter(),
            choice,
            theme,
        })
    };
    match held {
        Some((model, topics)) => picture(model, topics),
        None => picture(&feed.model, &feed.topics()),
    }
}
