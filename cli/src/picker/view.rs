//! Draws the list. Every text in it is inert, but for what the operator types.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::state::{Entry, Picker};

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const BAD: Style = Style::new().fg(Color::Red);
const WARN: Style = Style::new().fg(Color::Yellow);

pub(super) fn draw(frame: &mut Frame<'_>, picker: &mut Picker) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)])
            .areas(frame.area());
    let typed = Span::raw(picker.filter.clone());
    frame.render_widget(Paragraph::new(Line::from(vec![Span::styled(picker.question, BOLD), typed])), head);
    let rows = usize::from(body.height);
    picker.top = picker.top.min(picker.chosen).max((picker.chosen + 1).saturating_sub(rows));
    let width = picker.shown().map(|entry| entry.name.as_str().len()).max().unwrap_or(0);
    let shown = picker.shown().enumerate().skip(picker.top).take(rows);
    let lines: Vec<Line<'_>> =
        shown.map(|(place, entry)| line(entry, width, place == picker.chosen)).collect();
    frame.render_widget(Paragraph::new(lines), body);
    let note = match picker.note {
        Some(note) => Span::styled(note, WARN),
        None => Span::styled("type to look for one   ↓ ↑ Enter   Esc leaves", DIM),
    };
    frame.render_widget(Paragraph::new(Line::from(note)), foot);
}

fn line(entry: &Entry, width: usize, is_chosen: bool) -> Line<'_> {
    let mark = if is_chosen { "> " } else { "  " };
    let name = format!("{mark}{:<width$}  ", entry.name.as_str());
    let about = match entry.is_broken {
        true => vec![Span::styled("broken: ", BAD), Span::raw(entry.about.as_str())],
        false => vec![Span::styled(entry.about.as_str(), DIM)],
    };
    Line::from_iter([vec![Span::styled(name, if is_chosen { BOLD } else { Style::new() })], about].concat())
}
