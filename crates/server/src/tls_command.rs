//! `ticketing tls dev`: a certificate authority and certificates for trials, not for production. The authority's key
//! is discarded, so that it cannot issue further certificates.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use ticketing_core::clock::Clock;

use ticketing_host::clock::SystemClock;

/// The URI of the client certificate.
const CLIENT: &str = "spiffe://ticketing.test/trial";
/// Host names always in the server certificate.
const HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
const VALID_DAYS: i32 = 90;

/// Subcommands of `ticketing tls`.
#[derive(Debug, clap::Subcommand)]
pub enum TlsCommand {
    /// Create an authority, a server certificate and a client certificate for trials, valid for 90 days.
    Dev(DevArgs),
}

/// Arguments of `ticketing tls dev`.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Folder to write to; created if it does not exist. Existing files are not overwritten.
    #[arg(long)]
    pub out: PathBuf,

    /// Additional host name or IP address of the server, besides localhost, 127.0.0.1 and ::1; repeatable.
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,
}

/// Validity of the certificates.
#[derive(Clone, Copy)]
struct Days {
    from: jiff::civil::Date,
    until: jiff::civil::Date,
}

/// Creates the files and prints how to use them.
///
/// # Errors
/// A file that cannot be written, or an invalid host name.
pub fn run(command: &TlsCommand) -> anyhow::Result<()> {
    let TlsCommand::Dev(args) = command;
    let hosts: Vec<_> = args.hosts.iter().cloned().chain(HOSTS.map(str::to_owned)).collect();
    make(&args.out, &hosts, SystemClock::start().now())?;
    print_note(&print_usage(&args.out, args.hosts.first().map(String::as_str)));
    Ok(())
}

fn make(out: &Path, hosts: &[String], now: Timestamp) -> anyhow::Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("failed to create {}", out.display()))?;
    let today = now.to_zoned(TimeZone::UTC).date();
    let days = Days { from: today.saturating_sub(1.day()), until: today.saturating_add(VALID_DAYS.days()) };
    let (authority, authority_pem) = authority(days)?;
    let mut server =
        CertificateParams::new(hosts.to_vec()).context("--host is not a host name or IP address")?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let mut client = CertificateParams::default();
    client.subject_alt_names = vec![SanType::URI(CLIENT.try_into()?)];
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let files = [
        ("server", issue(server, "Trial Server", days, &authority)?),
        ("client", issue(client, "Trial Client", days, &authority)?),
    ];
    write(&out.join("ca.pem"), &authority_pem)?;
    for (name, (certificate, key)) in files {
        write(&out.join(format!("{name}.pem")), &certificate)?;
        write(&out.join(format!("{name}.key")), &key)?;
    }
    Ok(())
}

fn authority(days: Days) -> anyhow::Result<(Issuer<'static, KeyPair>, String)> {
    let key = KeyPair::generate()?;
    let mut params = named("Trial Authority", CertificateParams::default(), days);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = params.self_signed(&key)?.pem();
    Ok((Issuer::new(params, key), pem))
}

/// A certificate and its key, in PEM.
fn issue(
    params: CertificateParams,
    name: &str,
    days: Days,
    authority: &Issuer<'static, KeyPair>,
) -> anyhow::Result<(String, String)> {
    let key = KeyPair::generate()?;
    let mut params = named(name, params, days);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok((params.signed_by(&key, authority)?.pem(), key.serialize_pem()))
}

fn named(name: &str, mut params: CertificateParams, days: Days) -> CertificateParams {
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("RhythmX Ticketing {name}"));
    let day = |date: jiff::civil::Date| {
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    (params.not_before, params.not_after) = (day(days.from), day(days.until));
    params
}

/// Writes a new file with mode 0600.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match opened.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} already exists: choose another folder with --out, or remove it", path.display())
        }
        Err(error) => Err(error).with_context(|| format!("failed to write {}", path.display())),
    }
}

/// Two commands to copy into a shell. A configured host may resolve to any local address, so the server then listens
/// on all of them.
fn print_usage(out: &Path, host: Option<&str>) -> String {
    let listen = if host.is_some() { "0.0.0.0:50051" } else { "localhost:50051" };
    let host = host.unwrap_or("localhost");
    let address = if host.contains(':') { format!("[{host}]:50051") } else { format!("{host}:50051") };
    let file = |name: &str| quoted(&out.join(name).display().to_string());
    let [ca, server, server_key, client, client_key] =
        ["ca.pem", "server.pem", "server.key", "client.pem", "client.key"].map(file);
    let out = out.display();
    format!(
        "Made an authority, a server certificate and a client certificate ({CLIENT}) in {out}.\n\n\
         Serve, and accept the client certificate:\n\n  \
         ticketing serve --listen {listen} --tls-cert {server} --tls-key {server_key} \\\n    \
         --auth certificate --tls-client-ca {ca} --certificate-roles {CLIENT}=admin\n\n\
         Call:\n\n  \
         grpcurl -cacert {ca} -cert {client} -key {client_key} {address} \\\n    \
         rhythmx.ticketing.v1.TicketingService/GetStatus\n"
    )
}

/// Quotes a text as one word for a shell.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@:".contains(c);
    if path.chars().all(is_plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[expect(clippy::print_stdout, reason = "the usage is for the terminal")]
fn print_note(text: &str) {
    print!("{text}");
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use ticketing_ingress::{Tls, TlsFiles};

    #[test]
    fn prints_the_commands_that_the_book_shows() {
        let page = include_str!("../../../docs/src/run/tls.md");
        let printed = print_usage(Path::new("trial"), None);
        let commands = printed.lines().filter(|line| line.starts_with("  ")).map(str::trim);
        let shown: Vec<_> = page.lines().map(str::trim).collect();
        assert!(shown.contains(&"ticketing tls dev --out trial"));
        for command in commands {
            assert!(shown.contains(&command), "{command}");
        }
        let printed = print_usage(Path::new("a b's"), Some("ticketing.example"));
        assert!(
            printed.contains(r"--tls-cert 'a b'\''s/server.pem'") && printed.contains("0.0.0.0:50051"),
            "{printed}"
        );
    }

    #[test]
    fn writes_private_files_without_overwriting() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("tls");
        let hosts = HOSTS.map(str::to_owned);
        let now = SystemClock::start().now();
        make(&out, &hosts, now).unwrap();
        let file = |name: &str| Some(out.join(name));
        let files = TlsFiles {
            tls_cert: file("server.pem"),
            tls_key: file("server.key"),
            tls_client_ca: file("ca.pem"),
        };
        assert!(Tls::load(&files, true).unwrap().is_some());
        for file in std::fs::read_dir(&out).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600);
        }
        assert!(make(&out, &hosts, now).unwrap_err().to_string().contains("already exists"));
    }
}
