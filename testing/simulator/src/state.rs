//! State of a simulated site: its tickets and recorded requests.

use crate::profile::Profile;
use crate::record::Record;
use crate::ticket::Ticket;
use crate::ticket_index::TicketIndex;

/// The state of the site.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) profile: Profile,
    pub(crate) tickets: TicketIndex,
    pub(crate) record: Record,
    pub(crate) failed_logins: u32,
    pub(crate) created: u64,
}

impl State {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            profile,
            tickets: TicketIndex::default(),
            record: Record::default(),
            failed_logins: 0,
            created: 0,
        }
    }

    /// Whether the account can see a ticket.
    pub(crate) fn shows(&self, ticket: &Ticket) -> bool {
        ticket.foreign || !self.profile.hides_created
    }

    /// Returns the next ticket number, from 1.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.created += 1;
        self.created
    }
}
