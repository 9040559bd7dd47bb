//! What an operator does on the data folder with the binary itself: `ticketing token`, `ticketing key` and `ticketing audit`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ticketing_core::namespace::Namespace;

use crate::access::Role;
use crate::clock::SystemClock;
use crate::config::{KeyArgs, duration};
use crate::entropy::SystemEntropy;
use crate::server::DATABASE;
use crate::store::{Administration, DataKeyRotated, MasterRotated, StoredToken};

/// The longest name of a token.
const MAX_NAME: usize = 64;

/// Where the database is.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// Folder of the database. A server may work with it meanwhile.
    #[arg(long, env = "TICKETING_DATA", default_value = "data")]
    data: PathBuf,

    #[command(flatten)]
    key: KeyArgs,
}

/// Bearer tokens: who may call, and as what.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it, once: nobody can show it again.
    Create {
        /// Whom it is for, for example "soar": up to 64 letters, digits and "-_.@". Two tokens of a name can be good at a time,
        /// so that one can take the other's place.
        #[arg(value_parser = name)]
        name: String,

        /// What its bearer may do.
        #[arg(long, value_enum)]
        role: Role,

        /// The namespace that it carries: a producer acts on incidents of its own namespace alone. By default that of the newest
        /// token of this name, or "default" where there is none. 1 to 63 lowercase letters, digits and hyphens, beginning with
        /// a letter.
        #[arg(long)]
        namespace: Option<Namespace>,

        /// How long it is good: at most 8784h, which is 366 days.
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
    /// Revoke a token by its ID, or all tokens of a name. It is good no more at once; open streams end within about a second.
    Revoke {
        id_or_name: String,

        #[command(flatten)]
        data: DataArgs,
    },
}

/// The keys that seal the stored secrets.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Put a new key in the place of the one in force, while a server works or not; one that was cut off is finished by
    /// doing it again.
    ///
    /// Without --data-key it is the master key, which is not in the database: one is made, and takes the place of the one in its
    /// file; the former one is kept beside it, for copies of the database that were made before.
    Rotate {
        /// File with the new master key, 32 bytes in base64 or as 64 hex digits; the server is to be started with it from then on.
        #[arg(long, conflicts_with = "data_key")]
        new_key_file: Option<PathBuf>,

        /// Rotate the data key instead, which is in the database, sealed with the master key: every secret is sealed anew.
        #[arg(long)]
        data_key: bool,

        #[command(flatten)]
        data: DataArgs,
    },
}

/// Who did what.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no entry of the audit was edited, removed or put in.
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
                let (new, token) = made.with_context(|| format!("no token was made for {name}"))?;
                let StoredToken { id, namespace, expires_at, .. } = token;
                writeln!(out, "{}", new.show())?;
                tell(&format!(
                    "token {id} for {name}, {role}, good until {expires_at}, of namespace {namespace}; it is shown this \
                     once. A server asks for it with --auth token"
                ));
            }
            Self::List { data } => {
                let mut administration = data.open().await?;
                let (tokens, now) = (administration.tokens().await, administration.now());
                administration.close().await;
                for token in tokens.context("the tokens can not be read")? {
                    let state = match token.revoked_at {
                        Some(at) => format!("revoked at {at}"),
                        None if token.is_good(now) => format!("good until {}", token.expires_at),
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
                for token in revoked.context("nothing was revoked")? {
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
                rotated.context("the data key was not rotated")?;
            let how = if resumed { "a rotation that was cut off went on: " } else { "" };
            writeln!(out, "{how}{reencrypted} secrets are sealed anew, with data key {key}")?;
            return tell_of_traces(has_old_ciphertext, out);
        }
        let mut administration = match data.open().await {
            Ok(administration) => administration,
            Err(error) => {
                // One that was cut off may have come so far that the new key opens the database already.
                let Some(new) = &new_key_file else { return Err(error) };
                data.key.key_file = Some(new.clone());
                let Ok(administration) = data.open().await else { return Err(error) };
                administration.close().await;
                writeln!(out, "the new key is in force already: start the server with it")?;
                return Ok(());
            }
        };
        let rotated = administration.rotate_master_key(new_key_file.as_deref()).await;
        let has_old_ciphertext = administration.has_old_ciphertext();
        administration.close().await;
        match rotated.context("the master key was not rotated")? {
            MasterRotated::Replaced { file, former } => {
                writeln!(out, "{} has a new key", file.display())?;
                former.iter().for_each(|former| tell_of_former(former));
            }
            MasterRotated::Finished { former } => {
                writeln!(out, "a rotation that was cut off is finished")?;
                tell_of_former(&former);
            }
            MasterRotated::Given => {
                writeln!(out, "the new key is in force: start the server with it from now on")?;
            }
        }
        tell_of_traces(has_old_ciphertext, out)
    }
}

fn tell_of_traces(has_old_ciphertext: bool, out: &mut impl Write) -> anyhow::Result<()> {
    if has_old_ciphertext {
        writeln!(
            out,
            "what the former key has sealed can be read in the file beside the database until the server stops"
        )?;
    }
    Ok(())
}

// === impl AuditCommand ===

impl AuditCommand {
    /// # Errors
    /// If the audit is not what was written, or can not be read.
    pub async fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let Self::Verify { data } = self;
        let mut administration = data.open().await?;
        let verified = administration.verify_audit().await;
        administration.close().await;
        match verified.context("the audit can not be read")? {
            Ok(entries) => writeln!(out, "{entries} entries, none edited, removed or put in")?,
            Err(broken) => bail!("the audit is broken: {broken}"),
        }
        Ok(())
    }
}

// === impl DataArgs ===

impl DataArgs {
    async fn open(&self) -> anyhow::Result<Administration> {
        let database = self.data.join(DATABASE);
        if !database.is_file() {
            bail!(
                "there is no database {}: --data names the folder that the server works in, and `ticketing serve` makes the \
                 database at its first start",
                database.display()
            );
        }
        let (clock, entropy) = (Arc::new(SystemClock::start()), Arc::new(SystemEntropy));
        let source = operator();
        let opened = Administration::open(&database, &self.key.source(), clock, entropy, source).await;
        opened.context("failed to open the data folder")
    }
}

fn tell_of_former(former: &Path) {
    tell(&format!(
        "copies of the database that were made before need the former key: it is in {}, to be kept apart from them, or removed \
         together with them",
        former.display()
    ));
}

/// Who types, as far as the system tells.
fn operator() -> String {
    format!("command line, uid {}", rustix::process::getuid().as_raw())
}

fn name(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@".contains(&b));
    let fits = (1..=MAX_NAME).contains(&text.len()) && plain;
    if fits { Ok(text.to_owned()) } else { Err("must be 1 to 64 letters, digits and \"-_.@\"".to_owned()) }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = duration(text)?;
    let longest = Duration::from_secs(366 * 86_400);
    if lifetime <= longest { Ok(lifetime) } else { Err("must be at most 8784h".to_owned()) }
}

/// For the person at the terminal; standard output is for the token alone.
#[expect(clippy::print_stderr, reason = "standard output is for what scripts read")]
fn tell(text: &str) {
    eprintln!("{text}");
}
