//! The tickets of a site in order of creation, with indexes for fast look-ups.

use std::collections::{BTreeSet, HashMap};

use crate::jira::adf::plain_description;
use crate::ticket::Ticket;

/// Minimum length of an indexed word: markers are that long, words of prose are not.
const LONG_WORD: usize = 24;

/// All tickets, deleted ones included.
///
/// An index entry may be stale: callers check the ticket as well.
#[derive(Debug, Default)]
pub(crate) struct TicketIndex {
    tickets: Vec<Ticket>,
    /// By ID, key and previous keys; a newer ticket replaces an older one.
    by_name: HashMap<String, usize>,
    /// By label and `correlation_id`, in lower case.
    by_marker: HashMap<String, BTreeSet<usize>>,
    /// By the long words of summary and description, in lower case.
    by_word: HashMap<String, BTreeSet<usize>>,
    /// The highest number used in each project.
    last_numbers: HashMap<String, u64>,
}

// === impl TicketIndex ===

impl TicketIndex {
    pub(crate) fn all(&self) -> &[Ticket] {
        &self.tickets
    }

    /// Tickets that were not deleted.
    pub(crate) fn existing(&self) -> impl DoubleEndedIterator<Item = &Ticket> {
        self.tickets.iter().filter(|ticket| !ticket.deleted)
    }

    /// The tickets at these positions that were not deleted, in order.
    pub(crate) fn at(&self, places: BTreeSet<usize>) -> impl Iterator<Item = &Ticket> {
        places.into_iter().filter_map(|place| self.tickets.get(place)).filter(|ticket| !ticket.deleted)
    }

    /// Finds a ticket by ID, key or previous key.
    pub(crate) fn find(&self, name: &str) -> Option<&Ticket> {
        self.tickets.get(*self.by_name.get(name)?).filter(|ticket| !ticket.deleted)
    }

    pub(crate) fn add(&mut self, mut ticket: Ticket) -> &Ticket {
        ticket.plain = plain_description(&ticket);
        let place = self.tickets.len();
        self.tickets.push(ticket);
        self.index(place);
        &self.tickets[place]
    }

    /// Changes a ticket; `None` if it does not exist.
    pub(crate) fn change<T>(&mut self, name: &str, change: impl FnOnce(&mut Ticket) -> T) -> Option<T> {
        let place = *self.by_name.get(name)?;
        let ticket = self.tickets.get_mut(place).filter(|ticket| !ticket.deleted)?;
        let result = change(ticket);
        ticket.plain = plain_description(ticket);
        self.index(place);
        Some(result)
    }

    /// Positions of tickets that can have this ID, key or previous key.
    pub(crate) fn named(&self, name: &str) -> BTreeSet<usize> {
        self.by_name.get(name).copied().into_iter().collect()
    }

    /// Positions of tickets that can have this label or `correlation_id`, ignoring case.
    pub(crate) fn with_marker(&self, marker: &str) -> BTreeSet<usize> {
        self.by_marker.get(&marker.to_lowercase()).cloned().unwrap_or_default()
    }

    /// Positions of tickets that can have all these words in summary or description; `None` if no word is
    /// long enough to be indexed.
    pub(crate) fn with_words(&self, words: &[String]) -> Option<BTreeSet<usize>> {
        let word = words.iter().find(|word| is_long(word))?;
        Some(self.by_word.get(&word.to_lowercase()).cloned().unwrap_or_default())
    }

    /// The highest number used in a project; keys of moved or deleted issues are not reused.
    pub(crate) fn last_number(&self, project_key: &str) -> u64 {
        self.last_numbers.get(project_key).copied().unwrap_or(0)
    }

    fn index(&mut self, place: usize) {
        let ticket = &self.tickets[place];
        for key in ticket.previous_keys.iter().chain([&ticket.key, &ticket.id]) {
            if self.by_name.get(key) == Some(&place) {
                continue;
            }
            if let Some((project, number)) = key.rsplit_once('-')
                && let Ok(number) = number.parse::<u64>()
            {
                let last = self.last_numbers.entry(project.to_owned()).or_default();
                *last = number.max(*last);
            }
            self.by_name.insert(key.clone(), place);
        }
        for marker in ticket.marker_candidates() {
            self.by_marker.entry(marker.to_lowercase()).or_default().insert(place);
        }
        for word in words(ticket.text("summary")).chain(words(&ticket.plain)).filter(|word| is_long(word)) {
            self.by_word.entry(word.to_lowercase()).or_default().insert(place);
        }
    }
}

/// Splits a text into the words of the index.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

fn is_long(word: &str) -> bool {
    word.len() >= LONG_WORD
}
