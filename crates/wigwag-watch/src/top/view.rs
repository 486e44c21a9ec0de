//! Draws the model: four views, a help page, a line of keys. Fits 80x24 and 40 columns, with colours and without.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Sparkline, Table};
use wigwag_client::sys::SysCount;

use super::figures::{bytes, grouped, plain, scaled, span};
use super::keys::{Choice, View};
use super::model::{DROPPED, Link, Model, Pace, RATED};
use super::series::Series;
use super::topics::{Column, Topics, Traffic};

/// Columns of a label and of a number in front of a sparkline.
const LABEL: u16 = 13;
const NUMBER: u16 = 11;

/// Columns that a label with its number takes where several stand side by side.
const GAUGE: u16 = 26;

/// Below so many columns a table shows what it is ordered by, and nothing else.
const NARROW: u16 = 64;

/// The looks of what is shown. Without colours, weight and reversal do all of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    pub(super) has_colours: bool,
}

impl Theme {
    fn coloured(self, colour: Color) -> Style {
        match self.has_colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn bars(self) -> Style {
        self.coloured(Color::Cyan)
    }

    fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// All that is on the screen.
pub(super) struct Picture<'a> {
    pub(super) model: &'a Model,
    pub(super) topics: &'a Topics,
    /// The filter of the topics; empty if none are looked at.
    pub(super) filter: &'a str,
    pub(super) choice: &'a Choice,
    pub(super) theme: Theme,
}

impl Picture<'_> {
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let [head, views, body, foot] = Layout::vertical([
            Constraint::Length(2),
            Constraint::Length(1),
            Constraint::Min(0),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        self.draw_head(frame, head);
        frame.render_widget(Paragraph::new(self.views_line()), views);
        match self.choice.view {
            _ if self.choice.shows_help => self.draw_help(frame, body),
            _ if self.model.is_empty() => self.draw_nothing(frame, body),
            View::Overview => self.draw_overview(frame, body),
            View::Topics => self.draw_topics(frame, body),
            View::Alarms => self.draw_alarms(frame, body),
            View::Tree => self.draw_tree(frame, body),
        }
        frame.render_widget(Paragraph::new(self.foot_line()), foot);
    }

    /// How many lines the list of the view has, for scrolling.
    pub(super) fn lines(&self) -> usize {
        match self.choice.view {
            View::Overview => 0,
            View::Topics => self.topics.len(),
            View::Alarms => self.alarm_lines().len(),
            View::Tree => self.model.tree().len(),
        }
    }

    fn draw_head(&self, frame: &mut Frame<'_>, area: Rect) {
        let model = self.model;
        let (link, style) = match &model.link {
            Link::Online => ("online".to_owned(), self.theme.good()),
            Link::Connecting => ("connecting".to_owned(), self.theme.faint()),
            Link::Offline(why) => (format!("offline: {}", plain(why)), self.theme.bad()),
        };
        let mut first = vec![
            Span::styled(plain(&model.broker), self.theme.title()),
            Span::raw("  "),
            Span::styled(link, style),
        ];
        if self.choice.is_paused {
            first.push(Span::styled("  paused", self.theme.chosen()));
        }
        let mut second = plain(model.sys.version().unwrap_or("unknown broker"));
        if let Some(uptime) = model.sys.uptime() {
            second.push_str(&format!("  up {}", span(uptime)));
        }
        second.push_str(&match model.pace {
            Pace::Unknown => String::new(),
            Pace::Sys(interval) => format!("  $SYS every {} s", interval.as_secs()),
            Pace::Http => "  HTTP every second".to_owned(),
        });
        let mut second = vec![Span::raw(second)];
        if let Some(trouble) = &model.trouble {
            second.push(Span::styled(
                format!("  {}", plain(trouble)),
                self.theme.bad(),
            ));
        }
        frame.render_widget(Paragraph::new(vec![first.into(), second.into()]), area);
    }

    fn views_line(&self) -> Line<'static> {
        let alarms = self.model.alarms().len() + self.bridges_down();
        let mut spans = Vec::new();
        for (view, key, name) in View::ALL {
            let text = match view {
                View::Alarms if alarms > 0 => format!("{key} {name} {alarms}"),
                _ => format!("{key} {name}"),
            };
            let style = match view {
                _ if view == self.choice.view => self.theme.chosen(),
                View::Alarms if alarms > 0 => self.theme.bad(),
                _ => Style::new(),
            };
            spans.push(Span::styled(text, style));
            spans.push(Span::raw("  "));
        }
        spans.into()
    }

    fn foot_line(&self) -> Line<'static> {
        if let Some(typed) = &self.choice.typing {
            let rest = "  Enter: look, Esc: leave";
            return vec![
                Span::styled("filter: ", self.theme.title()),
                Span::raw(plain(typed)),
                Span::styled("_", self.theme.chosen()),
                Span::styled(rest, self.theme.faint()),
            ]
            .into();
        }
        let keys = match self.choice.view {
            View::Topics => "q quit  ? help  hl order  i invert  f filter  jk scroll",
            _ => "q quit  ? help  space pause  f filter",
        };
        Line::styled(keys, self.theme.faint())
    }

    fn draw_nothing(&self, frame: &mut Frame<'_>, area: Rect) {
        let text = match &self.model.link {
            Link::Online => {
                "The broker has told nothing below $SYS yet. It may be turned off, or this user may not read it."
            }
            Link::Connecting | Link::Offline(_) => "Waiting for the broker.",
        };
        let text = Paragraph::new(text).wrap(ratatui::widgets::Wrap { trim: true });
        frame.render_widget(text, area);
    }

    fn draw_overview(&self, frame: &mut Frame<'_>, area: Rect) {
        let gauges = self.gauges();
        let abreast = usize::from((area.width / GAUGE).max(1));
        let gauge_rows = gauges.len().div_ceil(abreast) as u16;
        let [rates, clients, counts, topics] = Layout::vertical([
            Constraint::Length(RATED.len() as u16 + 1),
            Constraint::Length(1),
            Constraint::Length(gauge_rows + 1),
            Constraint::Min(0),
        ])
        .areas(area);
        self.draw_rates(frame, rates);
        let connected = self.model.sys.count(SysCount::ClientsConnected);
        let number = connected.map_or_else(none, grouped);
        self.draw_series(
            frame,
            clients,
            ("clients", &number, Style::new()),
            &self.model.clients,
        );
        self.draw_gauges(frame, counts, &gauges, abreast);
        if topics.height > 1 {
            let [title, list] =
                Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(topics);
            let text = match self.filter {
                "" => "busiest topics: f chooses a filter".to_owned(),
                filter => format!("busiest topics of {}", plain(filter)),
            };
            frame.render_widget(Line::styled(text, self.theme.title()), title);
            self.draw_topic_table(frame, list, Column::MessageRate, false, 0);
        }
    }

    fn draw_rates(&self, frame: &mut Frame<'_>, area: Rect) {
        let mut rows = area.rows();
        if let Some(title) = rows.next() {
            frame.render_widget(Line::styled("per second", self.theme.title()), title);
        }
        for (index, row) in rows.enumerate().take(RATED.len()) {
            let rated = RATED[index];
            let rate = self.model.rate(index);
            let number = match rate {
                Some(rate) if rated.is_bytes => bytes(rate),
                Some(rate) => scaled(rate),
                None => none(),
            };
            let style = match rate {
                Some(rate) if index == DROPPED && rate > 0.0 => self.theme.bad(),
                _ => Style::new(),
            };
            let series = &self.model.rates[index].series;
            self.draw_series(frame, row, (rated.name, &number, style), series);
        }
    }

    /// A label, a number and how it has developed.
    fn draw_series(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        (label, number, style): (&str, &str, Style),
        series: &Series,
    ) {
        let [label_area, number_area, _, bars] = Layout::horizontal([
            Constraint::Length(LABEL),
            Constraint::Length(NUMBER),
            Constraint::Length(1),
            Constraint::Min(0),
        ])
        .areas(area);
        frame.render_widget(Line::raw(label.to_owned()), label_area);
        frame.render_widget(
            Line::styled(number.to_owned(), style).right_aligned(),
            number_area,
        );
        let sparkline = Sparkline::default()
            .data(series.bars(bars.width.into()))
            .max(1_000)
            .style(self.theme.bars());
        frame.render_widget(sparkline, bars);
    }

    fn gauges(&self) -> Vec<(&'static str, String, Style)> {
        const COUNTS: [(&str, SysCount, bool); 11] = [
            ("sessions", SysCount::ClientsTotal, false),
            ("disconnected", SysCount::ClientsDisconnected, false),
            ("most clients", SysCount::ClientsMaximum, false),
            ("subscriptions", SysCount::Subscriptions, false),
            ("shared", SysCount::SharedSubscriptions, false),
            ("retained", SysCount::RetainedMessages, false),
            ("stored", SysCount::StoredMessages, false),
            ("stored bytes", SysCount::StoredBytes, true),
            ("waiting", SysCount::PacketsOut, false),
            ("memory", SysCount::HeapCurrent, true),
            ("most memory", SysCount::HeapMaximum, true),
        ];
        let told = COUNTS.iter().filter_map(|(name, count, is_bytes)| {
            let value = self.model.sys.count(*count)?;
            let text = if *is_bytes {
                bytes(value as f64)
            } else {
                grouped(value)
            };
            Some((*name, text, Style::new()))
        });
        let mut gauges: Vec<_> = told.collect();
        let bridges = self.model.sys.bridges().count();
        if bridges > 0 {
            let down = self.bridges_down();
            let style = if down > 0 {
                self.theme.bad()
            } else {
                Style::new()
            };
            gauges.push(("bridges up", format!("{}/{bridges}", bridges - down), style));
        }
        gauges
    }

    fn draw_gauges(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        gauges: &[(&str, String, Style)],
        abreast: usize,
    ) {
        let mut rows = area.rows();
        if let Some(title) = rows.next() {
            frame.render_widget(Line::styled("now", self.theme.title()), title);
        }
        for (row, gauges) in rows.zip(gauges.chunks(abreast)) {
            let width = row.width / abreast as u16;
            let cells =
                Layout::horizontal(vec![Constraint::Length(width); gauges.len()]).split(row);
            for (cell, (name, value, style)) in cells.iter().zip(gauges) {
                let [label, number] =
                    Layout::horizontal([Constraint::Length(LABEL), Constraint::Length(NUMBER)])
                        .areas(*cell);
                frame.render_widget(Line::raw(*name), label);
                frame.render_widget(Line::styled(value.clone(), *style).right_aligned(), number);
            }
        }
    }

    fn draw_topics(&self, frame: &mut Frame<'_>, area: Rect) {
        let [title, list] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
        let text = match self.filter {
            "" => {
                "No topics are looked at: f chooses a filter, such as # or home/+/state.".to_owned()
            }
            filter => {
                let mut text = format!(
                    "{} topics of {}",
                    grouped(self.topics.len() as u64),
                    plain(filter)
                );
                if self.topics.others() > 0 {
                    text.push_str(&format!(
                        "; {} messages of others",
                        grouped(self.topics.others())
                    ));
                }
                text
            }
        };
        frame.render_widget(Line::styled(text, self.theme.title()), title);
        let choice = self.choice;
        self.draw_topic_table(frame, list, choice.sort, choice.inverted, choice.scroll);
    }

    fn draw_topic_table(
        &self,
        frame: &mut Frame<'_>,
        area: Rect,
        sort: Column,
        inverted: bool,
        scroll: usize,
    ) {
        if area.height < 2 || self.filter.is_empty() {
            return;
        }
        let columns: Vec<Column> = match area.width < NARROW {
            true if sort == Column::Topic => vec![Column::Topic, Column::MessageRate],
            true => vec![Column::Topic, sort],
            false => Column::ALL.to_vec(),
        };
        let title = |column: &Column| {
            let is_sort = *column == sort;
            let mark = if is_sort && inverted { "^" } else { "" };
            let style = if is_sort {
                self.theme.chosen()
            } else {
                self.theme.faint()
            };
            let line = Line::styled(format!("{}{mark}", column.title()), style);
            Cell::from(aligned(*column, line))
        };
        let header: Row<'_> = columns.iter().map(title).collect();
        let visible = usize::from(area.height - 1);
        let rows = self.topics.sorted(sort, inverted, scroll + visible);
        let rows = rows.into_iter().skip(scroll).map(|(topic, traffic)| {
            let cell = |column: &Column| {
                let text = figure(*column, topic, traffic);
                Cell::from(aligned(*column, Line::raw(text)))
            };
            columns.iter().map(cell).collect::<Row<'_>>()
        });
        let widths = columns.iter().map(|column| match column {
            Column::Topic => Constraint::Min(10),
            Column::MessageRate => Constraint::Length(8),
            Column::ByteRate => Constraint::Length(10),
            Column::Messages | Column::Bytes => Constraint::Length(11),
        });
        frame.render_widget(Table::new(rows, widths).header(header), area);
    }

    fn alarm_lines(&self) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        for alarm in self.model.alarms() {
            let name = format!("{} {}  ", plain(&alarm.severity), plain(&alarm.name));
            lines.push(Line::from(vec![
                Span::styled(name, self.theme.bad()),
                Span::raw(plain(&alarm.message)),
            ]));
        }
        for (name, is_connected) in self.model.sys.bridges() {
            let (text, style) = match is_connected {
                true => ("connected", self.theme.good()),
                false => ("not connected", self.theme.bad()),
            };
            lines.push(Line::from(vec![
                Span::raw(format!("bridge {}  ", plain(name))),
                Span::styled(text, style),
            ]));
        }
        lines
    }

    fn draw_alarms(&self, frame: &mut Frame<'_>, area: Rect) {
        let lines = self.alarm_lines();
        let text = match lines.is_empty() {
            true if self.model.pace == Pace::Http => {
                vec![Line::raw("No alarm is raised, and there are no bridges.")]
            }
            true => vec![
                Line::raw("No alarm was raised while this looked on, and there are no bridges."),
                Line::raw("Those of before are known over HTTP (--http)."),
            ],
            false => lines.into_iter().skip(self.choice.scroll).collect(),
        };
        frame.render_widget(Paragraph::new(text), area);
    }

    fn draw_tree(&self, frame: &mut Frame<'_>, area: Rect) {
        let tree = self.model.tree();
        let rows = tree
            .iter()
            .skip(self.choice.scroll)
            .take(area.height.into())
            .map(|(topic, value)| Row::new([plain(topic), plain(value)]));
        let widths = [Constraint::Percentage(70), Constraint::Percentage(30)];
        frame.render_widget(Table::new(rows, widths), area);
    }

    fn draw_help(&self, frame: &mut Frame<'_>, area: Rect) {
        const KEYS: [(&str, &str); 13] = [
            ("o t a s", "overview, topics, alarms, $SYS"),
            ("Tab", "the next of them"),
            ("j k, down up", "scroll by a line"),
            ("PgDn PgUp", "scroll by ten"),
            ("gg, Home", "to the top"),
            ("G, End", "to the bottom"),
            ("h l, left right", "order topics by another column"),
            ("i", "the other way round"),
            ("f, /", "look at the topics of a filter"),
            ("space", "hold the picture, and go on"),
            ("?", "this page"),
            ("Esc", "back"),
            ("q, Ctrl-C", "quit"),
        ];
        let rows = KEYS.iter().map(|(keys, what)| Row::new([*keys, *what]));
        let widths = [Constraint::Length(16), Constraint::Min(0)];
        frame.render_widget(Table::new(rows, widths), area);
    }

    fn bridges_down(&self) -> usize {
        let bridges = self.model.sys.bridges();
        bridges.filter(|(_, is_connected)| !is_connected).count()
    }
}

fn none() -> String {
    "-".to_owned()
}

fn aligned(column: Column, line: Line<'_>) -> Line<'_> {
    match column {
        Column::Topic => line,
        _ => line.right_aligned(),
    }
}

fn figure(column: Column, topic: &str, traffic: &Traffic) -> String {
    match column {
        Column::Topic => plain(topic),
        Column::MessageRate => scaled(traffic.message_rate),
        Column::ByteRate => bytes(traffic.byte_rate),
        Column::Messages => grouped(traffic.messages),
        Column::Bytes => bytes(traffic.bytes as f64),
    }
}

#[cfg(test)]
mod tests;
