//! An error with its causes, for a field of the log.

use std::error::Error;
use std::fmt;

/// Displays an error and its sources, joined with ": ". A JSON log line has only the `Display` text of a field, so that
/// the sources of an error that is logged as `dyn Error` would be missing there.
#[derive(Debug, Clone, Copy)]
pub struct ErrorChain<'e>(pub &'e (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        std::iter::successors(self.0.source(), |&error| error.source())
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{what}")]
    struct Failed<E: Error + 'static> {
        what: &'static str,
        source: E,
    }

    #[test]
    fn joins_all_sources() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let write = Failed { what: "failed to write the page", source: full };
        let commit = Failed { what: "failed to commit", source: write };
        assert_eq!(
            ErrorChain(&commit).to_string(),
            "failed to commit: failed to write the page: no storage space"
        );
    }

    #[test]
    fn error_without_source_is_its_own_text() {
        assert_eq!(ErrorChain(&fmt::Error).to_string(), fmt::Error.to_string());
    }
}
