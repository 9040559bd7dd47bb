//! The one door to other people's HTTP servers.
