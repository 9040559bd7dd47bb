//! A ticket system in memory: a board of cards.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ticketing_conformance::{Calls, Failure, Request, RequestKind, SECRET};

/// Maximum length of a title, in characters.
pub(crate) const MAX_TITLE: usize = 100;
/// Maximum length of a text, in characters.
pub(crate) const MAX_TEXT: usize = 2_000;

/// A board, and an account that may use it.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cards: Vec<Card>,
    requests: Vec<Request>,
    failure: Option<(Calls, Failure)>,
    is_readable: bool,
    exists: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) id: usize,
    pub(crate) key: String,
    pub(crate) tag: String,
    pub(crate) created_at: Timestamp,
    pub(crate) is_deleted: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Query<'a> {
    /// Is the board there, and readable?
    Open,
    /// The cards with one of these tags.
    Search(&'a [&'a str]),
    /// The card of this ID or key.
    Read(&'a str),
    /// Adds a card: its tag, title and text, each on a line of its own but the text.
    Add(&'a str),
}

#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Done,
    /// Anonymous callers find nothing.
    Cards {
        cards: Vec<Card>,
        is_logged_in: bool,
    },
    Added(Card),
    Refused(String),
    LoginRefused,
    NotReadable,
    NoBoard,
    NoCard,
    Throttled(Duration),
    Failed,
    Disconnected,
    Malformed,
    Silence,
}

// === impl Board ===

impl Board {
    pub(crate) fn new() -> Self {
        let state =
            State { cards: Vec::new(), requests: Vec::new(), failure: None, is_readable: true, exists: true };
        Self { state: Mutex::new(state) }
    }

    /// Sends one request.
    pub(crate) fn send(&self, secret: &str, query: Query<'_>) -> Answer {
        let mut state = self.state();
        state.requests.push(query.recorded());
        let failure = state.failure.clone().filter(|(calls, _)| query.is_among(*calls));
        let is_logged_in = secret == SECRET;
        let Some((_, failure)) = failure else { return state.answer(is_logged_in, query) };
        let (applied, answer) = match failure {
            Failure::ServerError { applied } => (applied, Answer::Failed),
            Failure::Disconnect { applied } => (applied, Answer::Disconnected),
            Failure::Unreadable { applied } => (applied, Answer::Malformed),
            Failure::Silence => (false, Answer::Silence),
            Failure::Refused(text) => (false, Answer::Refused(text)),
            Failure::LoginRefused => (false, Answer::LoginRefused),
            Failure::Throttled(delay) => (false, Answer::Throttled(delay)),
            Failure::LoginIgnored => return state.answer(false, query),
            Failure::QueryIgnored => (false, Answer::Cards { cards: state.existing(), is_logged_in }),
            Failure::RowsRepeated => return state.answer(is_logged_in, query).repeated(),
        };
        if applied {
            state.answer(is_logged_in, query);
        }
        answer
    }

    pub(crate) fn fail(&self, failure: Option<(Calls, Failure)>) {
        self.state().failure = failure;
    }

    pub(crate) fn hide(&self) {
        self.state().is_readable = false;
    }

    pub(crate) fn remove(&self) {
        self.state().exists = false;
    }

    pub(crate) fn cards(&self) -> Vec<Card> {
        self.state().existing()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// Adds a card by hand.
    pub(crate) fn add(&self, tag: &str) -> Card {
        self.state().add(tag)
    }

    pub(crate) fn change(&self, key: &str, change: impl FnOnce(&mut Card)) {
        let mut state = self.state();
        let card = state.cards.iter_mut().find(|card| card.key == key);
        change(card.expect("a card of this key"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn answer(&mut self, is_logged_in: bool, query: Query<'_>) -> Answer {
        match query {
            Query::Search(_) if !is_logged_in => Answer::Cards { cards: Vec::new(), is_logged_in },
            _ if !is_logged_in => Answer::LoginRefused,
            _ if !self.exists => Answer::NoBoard,
            Query::Search(_) if !self.is_readable => Answer::Cards { cards: Vec::new(), is_logged_in },
            Query::Open | Query::Read(_) if !self.is_readable => Answer::NotReadable,
            Query::Open => Answer::Done,
            Query::Search(tags) => {
                let cards = self.existing().into_iter().filter(|card| tags.contains(&card.tag.as_str()));
                Answer::Cards { cards: cards.collect(), is_logged_in }
            }
            Query::Read(name) => {
                let mut cards = self.existing().into_iter();
                let found = cards.find(|card| card.key == name || card.id.to_string() == name);
                found.map_or(Answer::NoCard, Answer::Added)
            }
            Query::Add(body) => self.added(body),
        }
    }

    fn added(&mut self, body: &str) -> Answer {
        let mut lines = body.splitn(3, '\n');
        let [tag, title, text] = [(); 3].map(|()| lines.next().unwrap_or_default());
        let is_short = title.chars().count() <= MAX_TITLE && text.chars().count() <= MAX_TEXT;
        let is_plain = !title.contains(char::is_control) && !text.contains('\u{1b}');
        match is_short && is_plain {
            true => Answer::Added(self.add(tag)),
            false => Answer::Refused("the card is too long, or not plain text".to_owned()),
        }
    }

    fn add(&mut self, tag: &str) -> Card {
        let id = self.cards.len() + 1;
        let key = format!("CARD-{id}");
        let created_at = Timestamp::UNIX_EPOCH + Duration::from_secs(id as u64);
        let card = Card { id, key, tag: tag.to_owned(), created_at, is_deleted: false };
        self.cards.push(card.clone());
        card
    }

    fn existing(&self) -> Vec<Card> {
        self.cards.iter().filter(|card| !card.is_deleted).cloned().collect()
    }
}

// === impl Answer ===

impl Answer {
    /// With every card twice.
    fn repeated(self) -> Self {
        match self {
            Self::Cards { mut cards, is_logged_in } => {
                cards.extend_from_within(..);
                Self::Cards { cards, is_logged_in }
            }
            answer => answer,
        }
    }
}

// === impl Query ===

impl Query<'_> {
    fn is_among(self, calls: Calls) -> bool {
        match calls {
            Calls::Any => true,
            Calls::Create => matches!(self, Self::Add(_)),
            Calls::Search => matches!(self, Self::Search(_)),
        }
    }

    fn recorded(self) -> Request {
        match self {
            Self::Add(body) => Request { kind: RequestKind::Create, body: body.to_owned() },
            _ => Request { kind: RequestKind::Read, body: String::new() },
        }
    }
}
