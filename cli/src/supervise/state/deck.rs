//! The cards that wait, oldest first, what of them a filter lets through, and which one is selected.

use std::collections::{HashMap, HashSet};

use base::id::ProposalId;
use bus::message::proposal::ProposalRecord;
use jiff::Timestamp;

use crate::deciding::card;

/// Where a card stands in the list.
type Place = (Timestamp, ProposalId);

/// A proposal that waits, prepared when it comes, so that moving over a thousand of them reads none.
#[derive(Debug)]
pub struct Card {
    /// It.
    pub record: ProposalRecord,
    /// What it asks for, in one line; inert.
    pub summary: String,
    /// What a filter looks into, in lower case.
    text: String,
}

impl Card {
    fn new(record: ProposalRecord) -> Self {
        let summary = card::summary(&record.content);
        let kind = record.content.kind().as_str();
        let text = format!("{} {} {kind} {summary}", record.proposal, record.bottle).to_lowercase();
        Self { record, summary, text }
    }

    fn place(&self) -> Place {
        (self.record.first, self.record.proposal.clone())
    }
}

/// The cards.
#[derive(Debug, Default)]
pub struct Deck {
    cards: HashMap<ProposalId, Card>,
    /// What the filter lets through.
    order: Vec<Place>,
    selected: Option<Place>,
    /// Where the selection is, or was when its card went.
    at: usize,
    /// Whether a card was ever selected.
    begun: bool,
    filter: String,
    looked_at: u64,
}

impl Deck {
    /// How many cards wait, and of how many bottles.
    #[must_use]
    pub fn waiting(&self) -> (usize, usize) {
        let bottles: HashSet<_> = self.cards.values().map(|card| &card.record.bottle).collect();
        (self.cards.len(), bottles.len())
    }

    /// How many of them the filter lets through.
    #[must_use]
    pub fn shown(&self) -> usize {
        self.order.len()
    }

    /// What is looked for.
    #[must_use]
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// The cards that fit on so many rows around the selection, and whether each is selected.
    pub fn rows(&self, height: usize) -> impl Iterator<Item = (&Card, bool)> {
        let last = self.order.len().saturating_sub(height);
        let top = self.at.saturating_sub(height / 2).min(last);
        let places = self.order.iter().skip(top).take(height);
        places.filter_map(|place| Some((self.cards.get(&place.1)?, self.selected.as_ref() == Some(place))))
    }

    /// The selected card.
    #[must_use]
    pub fn selected(&self) -> Option<&Card> {
        self.cards.get(&self.selected.as_ref()?.1)
    }

    /// How many cards have been read to find out what to show. Moving over the list adds nothing to it.
    #[must_use]
    pub fn looked_at(&self) -> u64 {
        self.looked_at
    }

    /// A card comes or changes. The first one ever is selected; after that only keys select.
    pub(super) fn put(&mut self, record: ProposalRecord) {
        let card = Card::new(record);
        // When an equal request was first asked for never changes.
        let place = card.place();
        self.looked_at += 1;
        let is_shown = card.text.contains(&self.filter.to_lowercase());
        self.cards.insert(place.1.clone(), card);
        match self.order.binary_search(&place) {
            Err(index) if is_shown => {
                self.order.insert(index, place);
                if self.selected.is_some() && index <= self.at {
                    self.at += 1;
                }
            }
            Ok(index) if !is_shown => self.take_out(index),
            _ => {}
        }
        if !self.begun && !self.order.is_empty() {
            self.select(0);
        }
    }

    /// A card goes.
    pub(super) fn remove(&mut self, proposal: &ProposalId) {
        let Some(card) = self.cards.remove(proposal) else { return };
        if let Ok(index) = self.order.binary_search(&card.place()) {
            self.take_out(index);
        }
    }

    /// A selection whose card goes does not move on by itself: the next key would answer what nobody has looked at.
    fn take_out(&mut self, index: usize) {
        let place = self.order.remove(index);
        if self.selected.as_ref() == Some(&place) {
            self.selected = None;
        }
        if index < self.at {
            self.at -= 1;
        }
    }

    /// Selects so many cards further on; where the selected one went, what took its place counts as the next.
    pub(super) fn on(&mut self, count: usize) {
        self.select((self.at + count).saturating_sub(usize::from(self.selected.is_none())));
    }

    /// Selects so many cards further back.
    pub(super) fn back(&mut self, count: usize) {
        self.select(self.at.saturating_sub(count));
    }

    /// Selects the card at this place, or the last one.
    pub(super) fn select(&mut self, index: usize) {
        self.at = index.min(self.order.len().saturating_sub(1));
        self.selected = self.order.get(self.at).cloned();
        self.begun |= self.selected.is_some();
    }

    /// Shows only what contains this. A selected card that does not is selected no more.
    pub(super) fn refilter(&mut self, filter: String) {
        if filter == self.filter {
            return;
        }
        self.filter = filter;
        let wanted = self.filter.to_lowercase();
        self.looked_at += self.cards.len() as u64;
        self.order =
            self.cards.values().filter(|card| card.text.contains(&wanted)).map(Card::place).collect();
        self.order.sort_unstable();
        match self.selected.as_ref().map(|place| self.order.binary_search(place)) {
            Some(Ok(index)) => self.at = index,
            _ => (self.selected, self.at) = (None, 0),
        }
    }
}
