//! A request to a ticket system, and the faults of its search.

use jiff::Timestamp;

use crate::message::Request;
use crate::state::State;

/// A fault of the result of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SearchFault {
    #[default]
    None,
    Everything,
    Nothing,
    Twice,
    Foreign,
    Endless,
}

/// Markers of fabricated rows that replace these in a search with foreign rows: an empty one, and similar
/// ones.
pub(crate) fn lookalikes(markers: &[String]) -> Vec<String> {
    let like = |marker: &String| [format!("{marker}0"), format!("x-{marker}"), marker.to_uppercase()];
    std::iter::once(String::new()).chain(markers.iter().flat_map(like)).collect()
}

/// A request to a ticket system.
#[derive(Debug)]
pub(crate) struct SiteRequest<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) request: &'a Request,
    pub(crate) now: Timestamp,
    /// Scheme, host and port.
    pub(crate) origin: &'a str,
    pub(crate) search_fault: SearchFault,
}
