//! Offline commands on the data folder: `ticketing token`, `ticketing key`, `ticketing audit` and `ticketing compact`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use ticketing_core::duration;
use ticketing_core::namespace::Namespace;
use ticketing_core::role::Role;
use ticketing_host::clock::SystemClock;
use ticketing_host::entropy::SystemEntropy;
use ticketing_store::{Administration, DataKeyRotated, MasterRotated, Store, StoredToken};

use crate::config::DATABASE;
use crate::config::KeyArgs;

/// Maximum length of a token's name.
const MAX_NAME: usize = 64;

/// The data folder and its key.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// Folder of the database. A server may be using it.
    #[arg(long, env = "TICKETING_DATA", default_value = "data")]
    data: PathBuf,

    #[command(flatten)]
    key: KeyArgs,
}

/// Manage bearer tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token and print it once; it cannot be shown again.
    Create {
        /// Name of the caller, for example "soar": up to 64 letters, digits and "-_.@". A name can have two valid
        /// tokens at a time, for rotation.
        #[arg(value_parser = name)]
        name: String,

        /// Role of the caller.
        #[arg(long, value_parser = role())]
        role: Role,

        /// Namespace of the token: a producer is confined to incidents of its own namespace. Default: that of the
        /// newest token of this name, or else "default". 1 to 63 lowercase letters, digits and hyphens, beginning
        /// with a letter.
        #[arg(long)]
        namespace: Option<Namespace>,

        /// Validity: at most 8784h, which is 366 days.
        #[arg(long, default_value = "2160h", value_parser = lifetime)]
        lifetime: Duration,

        #[command(flatten)]
        data: DataArgs,
    },
    /// List all tokens, without their secrets.
    List {
        #[command(flatten)]
        data: DataArgs,
    },
    /// Revoke a token by its ID, or all tokens of a name. Takes effect at once; open streams end within about a
    /// second.
    Revoke {
        id_or_name: String,

        #[command(flatten)]
        data: DataArgs,
    },
}

/// Manage the keys that encrypt the stored secrets.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Replace a key, with or without a running server. Run it again to complete an interrupted rotation.
    ///
    /// Without --data-key, replaces the master key, which is stored outside the database. The former key is kept
    /// beside its file, for older backups.
    Rotate {
        /// File with the new master key, 32 bytes in base64 or as 64 hex digits; start the server with it from then
        /// on.
        #[arg(long, conflicts_with = "data_key")]
        new_key_file: Option<PathBuf>,

        /// Rotate the data key instead, which is stored in the database, encrypted with the master key: every secret
        /// is re-encrypted.
        #[arg(long)]
        data_key: bool,

        #[command(flatten)]
        data: DataArgs,
    },
}

/// Manage the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify that no audit entry was edited, removed or inserted.
    Verify {
        #[command(flatten)]
        data: DataArgs,
    },
}

// === impl TokenCommand ===

impl TokenCommand {
    /// # Errors
    /// What was not done, and why.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        match self {
            Self::Create { name, role, namespace, lifetime, data } => {
                let mut administration = data.open().await?;
                let made = administration.create_token(&name, role, namespace, lifetime).await;
                administration.close().await;
                let (new, token) = made.with_context(|| format!("failed to create a token for {name}"))?;
                let StoredToken { id, namespace, expires_at, .. } = token;
                writeln!(out, "{}", new.show())?;
                print_note(&format!(
                    "token {id} for {name}, {role}, valid until {expires_at}, of namespace {namespace}; it is shown this \
                     once. A server asks for it with --auth token"
                ));
            }
            Self::List { data } => {
                let mut administration = data.open().await?;
                let tokens = administration.tokens().await;
                let now = administration.now();
                administration.close().await;
                for token in tokens.context("failed to read the tokens")? {
                    let state = match token.revoked_at {
                        Some(at) => format!("revoked at {at}"),
                        None if token.is_valid_at(now) => format!("valid until {}", token.expires_at),
                        None => format!("expired at {}", token.expires_at),
                    };
                    let StoredToken { id, name, role, namespace, .. } = token;
                    writeln!(out, "{id}  {name}  {role}  {state}  {namespace}")?;
                }
            }
            Self::Revoke { id_or_name, data } => {
                let mut administration = data.open().await?;
                let revoked = administration.revoke(&id_or_name).await;
                administration.close().await;
                for token in revoked.context("failed to revoke")? {
                    writeln!(out, "revoked {} of {}", token.id, token.name)?;
                }
            }
        }
        Ok(())
    }
}

// === impl KeyCommand ===

impl KeyCommand {
    /// # Errors
    /// What was not done, and why.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let Self::Rotate { new_key_file, data_key, mut data } = self;
        if data_key {
            let mut administration = data.open().await?;
            let rotated = administration.rotate_data_key().await;
            let has_old_ciphertext = administration.has_old_ciphertext();
            administration.close().await;
            let DataKeyRotated { key, resumed, reencrypted } =
                rotated.context("failed to rotate the data key")?;
            let how = if resumed { "resumed an interrupted rotation: " } else { "" };
            writeln!(out, "{how}{reencrypted} secrets are re-encrypted with data key {key}")?;
            return warn_about_old_ciphertext(has_old_ciphertext, out);
        }
        let mut administration = match data.open().await {
            Ok(administration) => administration,
            Err(error) => {
                // An interrupted rotation may have progressed so far that the new key already opens the database.
                let Some(new) = &new_key_file else { return Err(error) };
                data.key.key_file = Some(new.clone());
                let Ok(administration) = data.open().await else { return Err(error) };
                administration.close().await;
                writeln!(out, "the new key is already active: start the server with it")?;
                return Ok(());
            }
        };
        let rotated = administration.rotate_master_key(new_key_file.as_deref()).await;
        let has_old_ciphertext = administration.has_old_ciphertext();
        administration.close().await;
        match rotated.context("failed to rotate the master key")? {
            MasterRotated::Replaced { file, former } => {
                writeln!(out, "{} has a new key", file.display())?;
                former.iter().for_each(|former| print_former_key(former));
            }
            MasterRotated::Finished { former } => {
                writeln!(out, "completed an interrupted rotation")?;
                print_former_key(&former);
            }
            MasterRotated::Given => {
                writeln!(out, "the new key is active: start the server with it from now on")?;
            }
        }
        warn_about_old_ciphertext(has_old_ciphertext, out)
    }
}

fn warn_about_old_ciphertext(has_old_ciphertext: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if has_old_ciphertext {
        writeln!(out, "secrets encrypted with the former key remain in the WAL file until the server stops")?;
    }
    Ok(())
}

// === impl AuditCommand ===

impl AuditCommand {
    /// # Errors
    /// If the audit log was tampered with, or cannot be read.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let Self::Verify { data } = self;
        let mut administration = data.open().await?;
        let verified = administration.verify_audit().await;
        administration.close().await;
        match verified.context("failed to read the audit log")? {
            Ok(entries) => writeln!(out, "{entries} entries, none edited, removed or inserted")?,
            Err(broken) => bail!("the audit log was tampered with: {broken}"),
        }
        Ok(())
    }
}

/// Compacts the database in the folder `data`.
///
/// # Errors
/// If there is none, a server uses it, or it cannot be rewritten.
pub async fn compact(data: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let compacted = Store::compact(&database_in(data)?).await.context("failed to compact the database")?;
    writeln!(out, "the database has {} bytes, {} before", compacted.after, compacted.before)?;
    Ok(())
}

/// The database in a data folder, which must exist.
fn database_in(data: &Path) -> anyhow::Result<PathBuf> {
    let database = data.join(DATABASE);
    if !database.is_file() {
        bail!(
            "there is no database {}: set --data to the folder of the server; `ticketing serve` creates the \
             database at its first start",
            database.display()
        );
    }
    Ok(database)
}

// === impl DataArgs ===

impl DataArgs {
    async fn open(&self) -> anyhow::Result<Administration> {
        let database = database_in(&self.data)?;
        let clock = Arc::new(SystemClock::start());
        let entropy = Arc::new(SystemEntropy);
        let source = operator();
        let opened = Administration::open(&database, &self.key.source(), clock, entropy, source).await;
        opened.context("failed to open the data folder")
    }
}

fn print_former_key(former: &Path) {
    print_note(&format!(
        "older backups need the former key: it is in {}, to be kept apart from them, or removed \
         together with them",
        former.display()
    ));
}

/// The user at the terminal, as far as the system knows.
fn operator() -> String {
    format!("command line, uid {}", rustix::process::getuid().as_raw())
}

/// Parses a role.
fn role() -> impl TypedValueParser<Value = Role> {
    let value = |role: Role| {
        PossibleValue::new(role.as_str()).help(match role {
            Role::Admin => "Configures the service",
            Role::Analyst => "Pushes tickets and manages deliveries",
            Role::Producer => "Submits incidents and follows their events",
            Role::Viewer => "Reads only",
        })
    };
    PossibleValuesParser::new(Role::ALL.map(value)).try_map(|name| name.parse::<Role>())
}

fn name(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
    let fits = (1..=MAX_NAME).contains(&text.len()) && plain;
    if fits { Ok(text.to_owned()) } else { Err("must be 1 to 64 letters, digits and \"-_.@\"".to_owned()) }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = duration::parse(text)?;
    let max = Duration::from_secs(366 * 86_400);
    if lifetime <= max { Ok(lifetime) } else { Err("must be at most 8784h".to_owned()) }
}

/// For the person at the terminal; standard output is for scripts.
#[expect(clippy::print_stderr, reason = "standard output is for what scripts read")]
fn print_note(text: &str) {
    eprintln!("{text}");
}
