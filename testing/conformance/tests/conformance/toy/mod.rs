//! A toy adapter, for a ticket system in memory. The suite passes it as well, and finds each of its defects.

mod board;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ticketing_conformance::{Calls, Failure, Request, SECRET, TestSystem, Ticket};
use ticketing_core::clean::clean;
use ticketing_core::content::Content;
use ticketing_core::fault::{Fault, FaultKind};
use ticketing_core::limits::MAX_TICKET_NAME;
use ticketing_core::marker::Marker;
use ticketing_core::system::{
    Authorship, Check, Created, Destination, Dialing, FoundTicket, Login, ReadTicket, Rendered, Search,
    SearchResult, TicketDraft, TicketRef, TicketSystem, Visibility,
};
use ticketing_core::text::Limit;

use self::board::{Answer, Board, Card, MAX_TEXT, MAX_TITLE, Query};

const ADDRESS: &str = "https://toy.example";

/// What an adapter can get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    RepeatsLostCreate,
    TakesLostReplyForRefusal,
    IgnoresDeadline,
    ForgetsDelay,
    ChangesBody,
    TrustsAnonymousSearch,
    TrustsHiddenPlace,
    TrustsRows,
    KeepsRepeatedRows,
    SearchesAnyAddress,
    ReadsFaultAsNone,
    ShowsSecret,
    RepeatsEcho,
    KeepsControls,
    NumbersRenderings,
    WritesInTest,
    OmitsSkippedChecks,
}

/// A board, and connections to it with a defect, or none.
pub(crate) struct Toy {
    board: Arc<Board>,
    defect: Option<Defect>,
}

/// The adapter.
struct ToySystem {
    board: Arc<Board>,
    secret: String,
    defect: Option<Defect>,
    renderings: AtomicU32,
}

// === impl Toy ===

impl Toy {
    pub(crate) fn with(defect: Option<Defect>) -> Self {
        Self { board: Arc::new(Board::new()), defect }
    }
}

impl TestSystem for Toy {
    fn connect(&self, secret: &str) -> Arc<dyn TicketSystem> {
        let board = self.board.clone();
        let renderings = AtomicU32::new(0);
        Arc::new(ToySystem { board, secret: secret.to_owned(), defect: self.defect, renderings })
    }

    fn fail(&self, calls: Calls, failure: Failure) {
        self.board.fail(Some((calls, failure)));
    }

    fn recover(&self) {
        self.board.fail(None);
    }

    fn withdraw_access(&self) {
        self.board.hide();
    }

    fn remove_place(&self) {
        self.board.remove();
    }

    fn tickets(&self) -> Vec<Ticket> {
        let cards = self.board.cards().into_iter();
        cards.map(|card| Ticket { id: card.id.to_string(), key: card.key }).collect()
    }

    fn requests(&self) -> Vec<Request> {
        self.board.requests()
    }

    fn add_ticket(&self, marker: &str) -> String {
        self.board.add(marker).key
    }

    fn move_ticket(&self, key: &str) -> String {
        let moved = format!("{key}-MOVED");
        self.board.change(key, |card| card.key.clone_from(&moved));
        moved
    }

    fn delete_ticket(&self, key: &str) {
        self.board.change(key, |card| card.is_deleted = true);
    }
}

// === impl ToySystem ===

impl ToySystem {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn check_address(&self, destination: &Destination) -> Result<(), Fault> {
        match destination.base_url == ADDRESS || self.has(Defect::SearchesAnyAddress) {
            true => Ok(()),
            false => Err(Fault::new(FaultKind::Misconfigured, "the connection has another address")),
        }
    }

    /// What an answer other than the expected one means.
    fn fault(&self, answer: Answer) -> Fault {
        let fault = |kind, text: &str| Fault::new(kind, text);
        match answer {
            Answer::Refused(text) if self.has(Defect::RepeatsEcho) => fault(FaultKind::Rejected, &text),
            Answer::Refused(text) => fault(FaultKind::Rejected, &text.replace(SECRET, "[secret]")),
            Answer::LoginRefused => fault(FaultKind::Unauthorized, "the login is refused"),
            Answer::NotReadable => fault(FaultKind::Forbidden, "the board may not be read"),
            Answer::NoBoard => fault(FaultKind::Misconfigured, "there is no such board"),
            Answer::Throttled(_) if self.has(Defect::ForgetsDelay) => fault(FaultKind::RateLimited, "busy"),
            Answer::Throttled(delay) => fault(FaultKind::RateLimited, "busy").with_retry_after(Some(delay)),
            Answer::Failed => fault(FaultKind::ServerError, "the board failed"),
            Answer::Disconnected if self.has(Defect::TakesLostReplyForRefusal) => {
                fault(FaultKind::Connect, "the connection ended")
            }
            Answer::Disconnected => fault(FaultKind::ConnectionLost, "the connection ended"),
            Answer::Silence => fault(FaultKind::TimedOut, "no reply in time"),
            Answer::Malformed | Answer::Done | Answer::Cards { .. } | Answer::Added(_) | Answer::NoCard => {
                fault(FaultKind::UnreadableReply, "an unexpected reply")
            }
        }
    }

    fn render(&self, ticket_draft: &TicketDraft) -> Rendered {
        let summary = Content::of(&ticket_draft.incident).summary(Limit::characters(MAX_TITLE));
        let notes = &ticket_draft.incident.investigation_notes;
        let notes = if self.has(Defect::KeepsControls) { notes.clone() } else { clean(notes).text.into() };
        let mut text = Limit::characters(MAX_TEXT).shorten(&notes);
        if self.has(Defect::NumbersRenderings) {
            text.push_str(&self.renderings.fetch_add(1, Ordering::Relaxed).to_string());
        }
        Rendered {
            body: format!("{}\n{summary}\n{text}", ticket_draft.marker),
            summary,
            priority: None,
            labels: vec![ticket_draft.marker.as_str().to_owned()],
            description: text.clone(),
            plain_text: text,
            marker_in_text: false,
            adjustments: Vec::new(),
        }
    }

    /// Whether the login sees the board.
    fn open(&self) -> Result<(), Fault> {
        match self.board.send(&self.secret, Query::Open) {
            Answer::Done => Ok(()),
            answer => Err(self.fault(answer)),
        }
    }
}

#[async_trait]
impl TicketSystem for ToySystem {
    fn destination(&self) -> Destination {
        Destination { base_url: ADDRESS.to_owned(), place: "board".to_owned() }
    }

    fn login(&self) -> Login {
        Login { name: format!("{ADDRESS} toy"), is_lockable: false }
    }

    fn made_by(&self) -> Authorship {
        Authorship { account: "toy".to_owned(), issue_type: String::new() }
    }

    fn ticket_url(&self, key: &str) -> Option<String> {
        Some(format!("{ADDRESS}/cards/{key}"))
    }

    fn visibility(&self) -> Visibility {
        Visibility::Immediate
    }

    async fn prepare(&self, ticket_draft: &TicketDraft) -> Result<Rendered, Fault> {
        Ok(self.render(ticket_draft))
    }

    fn prepare_from_memory(&self, ticket_draft: &TicketDraft) -> Option<Rendered> {
        Some(self.render(ticket_draft))
    }

    fn render_offline(&self, ticket_draft: &TicketDraft) -> Rendered {
        self.render(ticket_draft)
    }

    async fn create(
        &self,
        _ticket_draft: &TicketDraft,
        rendered: &Rendered,
        _dialing: Dialing,
        within: Duration,
    ) -> Result<Created, Fault> {
        if within.is_zero() && !self.has(Defect::IgnoresDeadline) {
            return Err(Fault::new(FaultKind::TooLate, "the deadline has passed"));
        }
        let mut body = rendered.body.clone();
        if self.has(Defect::ChangesBody) {
            body.push('.');
        }
        let mut answer = self.board.send(&self.secret, Query::Add(&body));
        if matches!(answer, Answer::Failed) && self.has(Defect::RepeatsLostCreate) {
            answer = self.board.send(&self.secret, Query::Add(&body));
        }
        match answer {
            Answer::Added(card) => Ok(Created { ticket: ticket(&card), adjustments: Vec::new() }),
            answer => Err(self.fault(answer)),
        }
    }

    async fn look_up(&self, search: &Search) -> Result<SearchResult, Fault> {
        self.check_address(&search.destination)?;
        let markers: Vec<_> = [&search.marker].into_iter().chain(&search.canaries).collect();
        let tags: Vec<_> = markers.iter().map(|marker| marker.as_str()).collect();
        let (cards, is_logged_in) = match self.board.send(&self.secret, Query::Search(&tags)) {
            Answer::Cards { cards, is_logged_in } => (cards, is_logged_in),
            answer => return Err(self.fault(answer)),
        };
        if !is_logged_in && !self.has(Defect::TrustsAnonymousSearch) {
            return Err(self.fault(Answer::LoginRefused));
        }
        let has = |card: &Card, marker: &Marker| card.tag == marker.as_str();
        let is_ours = |card: &&Card| has(card, &search.marker) || self.has(Defect::TrustsRows);
        let found = |card: &Card| FoundTicket { ticket: ticket(card), created_at: Some(card.created_at) };
        let mut tickets: Vec<_> = cards.iter().filter(is_ours).map(found).collect();
        tickets.sort_by_key(|found| found.created_at);
        if !self.has(Defect::KeepsRepeatedRows) {
            tickets.dedup();
        }
        if tickets.is_empty() {
            if !cards.iter().all(|card| tags.contains(&card.tag.as_str())) {
                return Err(self.fault(Answer::Malformed));
            }
            if is_logged_in && !self.has(Defect::TrustsHiddenPlace) {
                self.open()?;
            }
        }
        let canary_seen = search.canaries.iter().any(|canary| cards.iter().any(|card| has(card, canary)));
        Ok(SearchResult { tickets, canary_seen })
    }

    async fn read(&self, destination: &Destination, id_or_key: &str) -> Result<Option<ReadTicket>, Fault> {
        self.check_address(destination)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !(1..=MAX_TICKET_NAME).contains(&id_or_key.len()) || !id_or_key.chars().all(is_name) {
            return Ok(None);
        }
        match self.board.send(&self.secret, Query::Read(id_or_key)) {
            Answer::Added(card) => Ok(Some(ReadTicket {
                ticket: ticket(&card),
                place: destination.place.clone(),
                marker: Marker::parse(&card.tag),
                created_at: Some(card.created_at),
            })),
            Answer::NoCard => Ok(None),
            _ if self.has(Defect::ReadsFaultAsNone) => Ok(None),
            answer => Err(self.fault(answer)),
        }
    }

    async fn test(&self) -> Vec<Check> {
        if self.has(Defect::WritesInTest) {
            self.board.send(&self.secret, Query::Add("tag\ntitle\ntext"));
        }
        match self.open() {
            Ok(()) => ["login", "board"].map(|name| Check::passed(name, "works", Duration::ZERO)).into(),
            Err(fault) if self.has(Defect::OmitsSkippedChecks) => {
                vec![Check::failed("login", &fault, Duration::ZERO)]
            }
            Err(fault) => {
                vec![Check::failed("login", &fault, Duration::ZERO), Check::skipped("board", "login")]
            }
        }
    }
}

impl fmt::Debug for ToySystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = if self.has(Defect::ShowsSecret) { self.secret.as_str() } else { "[secret]" };
        f.debug_struct("ToySystem").field("secret", &secret).finish_non_exhaustive()
    }
}

fn ticket(card: &Card) -> TicketRef {
    let url = format!("{ADDRESS}/cards/{}", card.key);
    TicketRef { id: card.id.to_string(), key: card.key.clone(), url }
}

async fn start() -> Toy {
    Toy::with(None)
}

ticketing_conformance::ticket_system_conformance!(start);
