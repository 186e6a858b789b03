//! Draws the state. Every text that it gets is inert already, but for what the operator types.

use bus::message::proposal::{ProposalKind, Scope};
use jiff::Timestamp;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use super::input::KEYS;
use super::state::{Choice, Mode, Question, State, effect, scopes};
use crate::commands::list::age;
use crate::deciding::{Line, card};

/// The least that the list and a card fit on.
const SMALLEST: (u16, u16) = (40, 10);
/// From here on the card is beside the list.
const WIDE: u16 = 120;
/// Columns of a name in a card.
const NAMES: usize = 12;

const PLAIN: Style = Style::new();
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const DIM: Style = Style::new().add_modifier(Modifier::DIM);
const GOOD: Style = Style::new().fg(Color::Green);
const BAD: Style = Style::new().fg(Color::Red);
const WARN: Style = Style::new().fg(Color::Yellow);

/// Draws everything. Returns how far the card's text is scrolled in fact, which is no further than it goes.
pub fn draw(frame: &mut Frame<'_>, state: &State, now: Timestamp) -> usize {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!("{} wait; make the window larger, or q", state.deck.waiting().0);
        frame.render_widget(Paragraph::new(wrapped(&text, area.width, PLAIN)), area);
        return state.scroll;
    }
    let note = footer(state, area.width);
    let rows = u16::try_from(note.len()).unwrap_or(u16::MAX).min(area.height / 3);
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(rows)]).areas(area);
    frame.render_widget(Paragraph::new(header(state)), head);
    frame.render_widget(Paragraph::new(note), foot);
    let [list, detail] = if area.width >= WIDE {
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(body)
    } else {
        Layout::vertical([Constraint::Percentage(40), Constraint::Percentage(60)]).areas(body)
    };
    draw_list(frame, list, state, now);
    let scroll = draw_card(frame, detail, state, now);
    match &state.mode {
        Mode::Help => dialog(frame, " keys ", &keys(), ""),
        Mode::Scope(question) => {
            dialog(frame, " allow it for how long? ", &question_lines(question), &choices(question));
        }
        Mode::Reason(question, choice, text) => draw_reason(frame, question, *choice, text),
        Mode::Browse | Mode::Filter => {}
    }
    scroll
}

fn header(state: &State) -> Text<'static> {
    let (cards, bottles) = state.deck.waiting();
    let waits = match (cards, bottles) {
        (0, _) => "  nothing waits".to_owned(),
        (1, _) => "  1 proposal waits".to_owned(),
        (cards, 1) => format!("  {cards} proposals of 1 bottle wait"),
        (cards, bottles) => format!("  {cards} proposals of {bottles} bottles wait"),
    };
    let mut spans = vec![Span::styled("bot-bottle", BOLD)];
    spans.push(Span::raw(waits));
    if !state.deck.filter().is_empty() || matches!(state.mode, Mode::Filter) {
        let filter = base::inert(state.deck.filter(), 40);
        spans.push(Span::styled(format!("  /{filter} ({} shown)", state.deck.shown()), WARN));
    }
    if state.unreadable() > 0 {
        spans.push(Span::styled(format!("  {} cannot be read", state.unreadable()), WARN));
    }
    if state.is_away {
        spans.push(Span::styled("  the bus is away", BAD));
    }
    Text::from(spans)
}

/// What happened, or what the keys are.
fn footer(state: &State, width: u16) -> Vec<Text<'static>> {
    if let Some(note) = &state.note {
        let style = if note.good { GOOD } else { BAD };
        return note.lines.iter().flat_map(|line| wrapped(line, width, style)).collect();
    }
    let keys = match state.mode {
        Mode::Filter => "type what to look for   Enter keep   Esc all",
        Mode::Scope(_) => "Esc leaves it as it is",
        Mode::Reason(..) => "Enter sends   Esc leaves it as it is",
        Mode::Help => "any key",
        Mode::Browse => "a approve   m edit   r reject   / filter   ? help   q quit",
    };
    vec![Text::styled(keys, DIM)]
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, state: &State, now: Timestamp) {
    if state.deck.shown() == 0 {
        let text = if state.deck.filter().is_empty() {
            "Nothing waits for you."
        } else {
            "Nothing that waits contains that."
        };
        frame.render_widget(Paragraph::new(wrapped(text, area.width, DIM)), area);
        return;
    }
    let rows = state.deck.rows(usize::from(area.height)).map(|(card, is_selected)| {
        let record = &card.record;
        let times = if record.count > 1 { format!("×{}", record.count) } else { String::new() };
        let failed =
            matches!(&record.state, bus::message::proposal::ProposalState::Pending { failed: Some(_) });
        let mark = if is_selected {
            '>'
        } else if failed {
            '!'
        } else {
            ' '
        };
        let age = age(now.duration_since(record.first).as_secs());
        let kind = record.content.kind().as_str();
        let line = format!("{mark}{age:>4} {times:>5} {:<20} {kind:<15} {}", record.bottle, card.summary);
        let style = if is_selected { Style::new().add_modifier(Modifier::REVERSED) } else { PLAIN };
        Text::styled(line, style)
    });
    frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()), area);
}

fn draw_card(frame: &mut Frame<'_>, area: Rect, state: &State, now: Timestamp) -> usize {
    let block = Block::bordered();
    let inner = block.inner(area);
    let Some((card, current, answering)) = state.card() else {
        let text = if state.deck.shown() == 0 { "" } else { "↓ selects the next one." };
        frame.render_widget(Paragraph::new(wrapped(text, inner.width, DIM)).block(block), area);
        return 0;
    };
    let mut lines: Vec<_> = Vec::new();
    if answering {
        lines.push(Text::styled("your answer is on its way", WARN));
    }
    lines.extend(card::lines(&card.record, current, now).iter().flat_map(|line| shown(line, inner.width)));
    let most = lines.len().saturating_sub(usize::from(inner.height));
    let scroll = state.scroll.min(most);
    let more = if scroll < most { " Space: more " } else { "" };
    let offset = u16::try_from(scroll).unwrap_or(u16::MAX);
    let block = block.title_bottom(more);
    frame.render_widget(Paragraph::new(lines).block(block).scroll((offset, 0)), area);
    scroll
}

fn shown(line: &Line, width: u16) -> Vec<Text<'static>> {
    let under = |text: &str, style| {
        let room = width.saturating_sub(2);
        wrapped(text, room, style).into_iter().map(|line| indented("  ", PLAIN, line)).collect()
    };
    match line {
        Line::Field(name, value) => {
            let room = width.saturating_sub(NAMES as u16 + 1);
            let named = |(index, line)| {
                let name = if index == 0 { *name } else { "" };
                indented(&format!("{name:<NAMES$} "), DIM, line)
            };
            wrapped(value, room, PLAIN).into_iter().enumerate().map(named).collect()
        }
        Line::Heading(text) => [Text::raw("")].into_iter().chain(wrapped(text, width, BOLD)).collect(),
        Line::Plain(text) => under(text, PLAIN),
        Line::Warning(text) => wrapped(&format!("! {text}"), width, WARN),
        Line::Gone(text) => under(text, BAD),
        Line::Come(text) => under(text, GOOD),
    }
}

fn indented(prefix: &str, style: Style, line: Text<'static>) -> Text<'static> {
    let mut spans = vec![Span::styled(prefix.to_owned(), style)];
    spans.extend(line.spans.into_iter().map(|span| span.patch_style(line.style)));
    Text::from(spans)
}

fn question_lines(question: &Question) -> Vec<Line> {
    let mut lines = vec![
        Line::Field("bottle", question.record.bottle.to_string()),
        Line::Field("asks for", card::summary(&question.record.content)),
        Line::Heading(
            if question.edit.is_some() { "your edit changes" } else { "an approval changes" }.to_owned(),
        ),
    ];
    lines.extend(effect(question));
    lines
}

fn choices(question: &Question) -> String {
    let words = scopes(question).iter().map(|scope| match scope {
        Scope::Once => "o once",
        Scope::Bottle if question.record.content.kind() == ProposalKind::Capability => "b build it",
        Scope::Bottle => "b until the bottle exits",
        Scope::Keep => "k keep",
    });
    words.chain(["Esc not at all"]).collect::<Vec<_>>().join("   ")
}

fn draw_reason(frame: &mut Frame<'_>, question: &Question, choice: Choice, text: &str) {
    let (title, mut lines) = match choice {
        Choice::Reject => {
            let about = Line::Field("asks for", card::summary(&question.record.content));
            (" reject: why? ", vec![Line::Field("bottle", question.record.bottle.to_string()), about])
        }
        Choice::Grant(_) => (" why may it leave? ", question_lines(question)),
    };
    lines.push(Line::Heading("reason".to_owned()));
    let typed = base::inert(text, usize::MAX);
    // The end is what is being typed.
    let end = typed.chars().count().saturating_sub(200);
    lines.push(Line::Plain(format!("{}_", typed.chars().skip(end).collect::<String>())));
    dialog(frame, title, &lines, "Enter sends   Esc leaves it as it is");
}

fn keys() -> Vec<Line> {
    KEYS.iter().map(|(keys, what)| Line::Plain(format!("{keys:<15} {what}"))).collect()
}

/// A window in the middle, as large as it needs to be. Its last line is always seen.
fn dialog(frame: &mut Frame<'_>, title: &'static str, lines: &[Line], last: &str) {
    let area = frame.area();
    let width = area.width.saturating_sub(4).min(90);
    let inner = width.saturating_sub(4);
    let mut text: Vec<_> = lines.iter().flat_map(|line| shown(line, inner)).collect();
    let tail = wrapped(last, inner, BOLD);
    let most = usize::from(area.height).saturating_sub(3 + tail.len());
    if text.len() > most {
        text.truncate(most.saturating_sub(1));
        text.push(Text::styled("… more in the card", DIM));
    }
    if !last.is_empty() {
        text.push(Text::raw(""));
        text.extend(tail);
    }
    let height = u16::try_from(text.len()).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
    let [row] =
        Layout::vertical([Constraint::Length(height)]).flex(ratatui::layout::Flex::Center).areas(area);
    let [window] =
        Layout::horizontal([Constraint::Length(width)]).flex(ratatui::layout::Flex::Center).areas(row);
    frame.render_widget(Clear, window);
    let block = Block::bordered().title(title).padding(ratatui::widgets::Padding::horizontal(1));
    frame.render_widget(Paragraph::new(text).block(block), window);
}

/// A text in lines of this width; at blanks where there are some.
fn wrapped(text: &str, width: u16, style: Style) -> Vec<Text<'static>> {
    let width = usize::from(width.max(1));
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut columns = 0;
    for word in text.split_inclusive(' ') {
        let wide = Span::raw(word.trim_end()).width();
        if columns > 0 && columns + wide > width {
            lines.push(Text::styled(std::mem::take(&mut line), style));
            columns = 0;
        }
        for character in word.chars() {
            let wide = Span::raw(character.to_string()).width();
            if columns + wide > width {
                lines.push(Text::styled(std::mem::take(&mut line), style));
                columns = 0;
            }
            line.push(character);
            columns += wide;
        }
    }
    lines.push(Text::styled(line, style));
    lines
}
