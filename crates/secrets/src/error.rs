use std::path::PathBuf;

/// Why the master key could not be read or created.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error(
        "{path} is a symbolic link, and the server follows none where its own files are: put the file itself there (the \
         data folder is named by --data, the key by --key-file)"
    )]
    Link { path: PathBuf },
    #[error(
        "the key file {path} is missing; without it the secrets in the database {database} cannot be read: restore it, or name its file with --key-file if it is elsewhere (for a new database, make one: head -c 32 /dev/urandom | base64)"
    )]
    Missing { path: PathBuf, database: PathBuf },
    #[error("the key file {path} cannot be read or created")]
    File { path: PathBuf, source: std::io::Error },
    #[error("the key in {origin} is not 32 bytes in base64 (44 characters) or 64 hex digits: it has {what}")]
    Malformed { origin: String, what: String },
}
