//! Starts and stops the server.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ticketing_core::clock::Clock;
use ticketing_core::delivery::restore::RESTORE_WINDOW;
use ticketing_egress::{EgressPolicy, HttpClient, HttpClientError};
use ticketing_engine::app::App;
use ticketing_engine::connections::{Connection, Connections};
use ticketing_engine::dispatch::{Dispatcher, Schedule};
use ticketing_engine::settings::{Settings, stored};
use ticketing_host::clock::ThisMachine;
use ticketing_host::entropy::SystemEntropy;
use ticketing_host::process;
use ticketing_ingress::{self, ListenAddress, ListenError, Listener, Tls, TlsError};
use ticketing_store::{BackupError, OpenError, Opened, Store, StoreError, StoreFailure, StoreOptions};
use ticketing_vendor::Vendors;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::access::{Access, JwtKeysError};
use crate::config::{Config, ConfigError, DATABASE, OutboundError};
use crate::grpc;
use crate::offline_changes::log_offline_changes;

/// Time for clients to read responses after the last attempt was cut off.
const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// Why a server failed to start or to continue.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("invalid configuration")]
    Config(#[from] ConfigError),
    #[error("failed to listen on {address}; {flag} sets another address")]
    Listen { flag: &'static str, address: ListenAddress, source: ListenError },
    #[error("invalid TLS configuration")]
    Tls(#[from] TlsError),
    #[error("invalid outbound configuration")]
    Outbound(#[from] OutboundError),
    #[error("failed to open the database")]
    Open(#[from] OpenError),
    #[error("invalid configuration of --auth jwt")]
    JwtKeys(#[from] JwtKeysError),
    #[error("failed to read the stored settings")]
    Settings(#[source] StoreError),
    #[error("failed to set up the HTTP client for ticket systems")]
    HttpClient(#[from] HttpClientError),
    #[error("failed to set up reflection")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error("the store is no longer writable: restart the server; nothing that was accepted is lost")]
    StoreFailed,
    #[error("the check after the last stop, which was not orderly, found damage")]
    Damaged(#[source] OpenError),
    #[error("the dispatcher has ended: restart the server; nothing that was accepted is lost")]
    DispatcherFailed,
}

/// Why a server stops.
#[derive(Debug)]
enum StopReason {
    Requested,
    StoreFailed(StoreFailure),
    DispatcherFailed,
}

/// Bound listeners and loaded certificates.
#[derive(Debug)]
pub struct Listening {
    main: Listener,
    tls: Option<Arc<Tls>>,
    health: Option<Listener>,
}

impl Listening {
    /// The address of the main listener.
    ///
    /// # Errors
    /// From the operating system.
    pub fn local_address(&self) -> io::Result<ListenAddress> {
        self.main.local_address()
    }
}

/// Binds the listeners of `config`, and loads the certificates.
///
/// # Errors
/// [`ServeError::Config`], [`ServeError::Listen`] or [`ServeError::Tls`], naming the invalid flag.
pub async fn listen(config: &Config) -> Result<Listening, ServeError> {
    config.check()?;
    let tls = Tls::load(&config.transport.tls, config.demands_certificate())?.map(Arc::new);
    let exposed = tls.is_some() && !config.access.is_open();
    let main = bind("--listen", config.listen.clone(), exposed).await?;
    let health = match config.transport.health_listen {
        Some(address) => Some(bind("--health-listen", address.into(), true).await?),
        None => None,
    };
    Ok(Listening { main, tls, health })
}

async fn bind(flag: &'static str, address: ListenAddress, exposed: bool) -> Result<Listener, ServeError> {
    address.bind(exposed).await.map_err(|source| ServeError::Listen { flag, address, source })
}

/// Serves until `shutdown` completes. Then drains: accepts nothing new, ends streams with their last token, and waits
/// for attempts in progress.
///
/// # Errors
/// Why it failed.
pub async fn serve(
    config: Config,
    listening: Listening,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    config.check()?;
    let egress_policy = config.outbound.egress_policy()?;
    let store = open(&config, clock.clone()).await?;
    process::log_file_limit(config.transport.max_connections());
    process::warn_about_readable_secrets(&config.secret_files());
    process::warn_about_open_folder(&config.data);
    let served = serve_with_store(&config, egress_policy, &store, listening, clock, shutdown).await;
    store.close().await;
    served
}

/// Copies the database in the folder `data` to `file`; a server may be using it.
///
/// # Errors
/// Why the backup failed.
pub async fn backup(data: &Path, file: &Path, clock: &dyn Clock) -> Result<(), BackupError> {
    Store::backup(&data.join(DATABASE), file, clock.now()).await
}

async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Store, ServeError> {
    let database: PathBuf = config.data.join(DATABASE);
    let key = config.key.source();
    let machine = Arc::new(ThisMachine);
    let entropy = Arc::new(SystemEntropy);
    let Config { restored, busy_timeout, .. } = *config;
    let options = StoreOptions { clock, entropy, machine, key, restored, busy_timeout };
    let (store, opened) = Store::open(&database, options).await?;
    log_opened(&opened, config);
    Ok(store)
}

fn log_new_key(key_file: &Path) {
    tracing::warn!(key_file = %key_file.display(), "created the master key of the stored secrets: back it up");
}

/// Logs the findings at start.
fn log_opened(opened: &Opened, config: &Config) {
    if let Some(key_file) = &opened.key_made {
        log_new_key(key_file);
    }
    if let Some(suspicion) = &opened.suspicion {
        tracing::warn!(
            %suspicion, server_bound = ?config.server_bound, max_index_bound = ?config.vendors.max_index_bound(), for_days = RESTORE_WINDOW.as_secs() / 86_400,
            "the database may have been restored from a backup, so each ticket is searched for before it is created: \
             the first ones wait until these bounds have passed"
        );
    }
    if opened.is_checking {
        tracing::warn!("the last stop was not orderly: checking the database in the background");
    }
    if !opened.clock_step.is_zero() {
        tracing::warn!(by = %opened.clock_step, "the clock was set since the last run: shifted due times with it");
    }
}

async fn serve_with_store(
    config: &Config,
    egress_policy: EgressPolicy,
    store: &Store,
    listening: Listening,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let bounds = config.bounds();
    let (settings, connections) = connect(
        store,
        HttpClient::new(clock.clone(), config.attempt_deadline, egress_policy)?,
        config.vendors.vendors(),
    )
    .await?;
    let retry = &settings.rules.retry;
    let schedule =
        Schedule { policy: Arc::new(retry.policy(&bounds)), processor_interval: retry.processor_interval };
    let entropy = Arc::new(SystemEntropy);
    let dispatcher = Dispatcher::new(
        store.clone(),
        connections.clone(),
        clock.clone(),
        entropy,
        config.dispatch(),
        schedule,
    );
    let access =
        Access::new(config.access.settings().map_err(ConfigError::from)?, store.clone(), clock.clone())?;
    let app = App::new(
        store.clone(),
        dispatcher.clone(),
        connections,
        clock,
        bounds,
        settings,
        config.outbound.tests_per_minute,
    );

    let closing = CancellationToken::new();
    let streams = grpc::StreamSettings {
        bookmark_interval: config.bookmark_interval,
        subscriber_timeout: config.subscriber_timeout,
    };
    let service = grpc::Service::new(app, access.clone(), streams, closing.clone());
    let grpc::Served { calls, health_only, health } =
        grpc::router(service, access, &config.transport.limits, closing.clone()).await?;
    if let Ok(address) = listening.local_address() {
        tracing::info!(%address, data = %config.data.display(), tls = listening.tls.is_some(), "listening");
    }
    let worker = tokio::spawn({
        let dispatcher = dispatcher.clone();
        async move { dispatcher.run().await }
    });
    let (stopping, why) = oneshot::channel();
    let stop = {
        let closing = closing.clone();
        let store_failed = store.failed();
        async move {
            let why = tokio::select! {
                () = shutdown => StopReason::Requested,
                failure = store_failed => StopReason::StoreFailed(failure),
                _ = worker => StopReason::DispatcherFailed,
            };
            tracing::info!(?why, "stopping");
            grpc::stop_serving::<grpc::Service>(&health).await;
            closing.cancel();
            // Dropped if the server failed.
            let _ = stopping.send(why);
        }
    };
    tokio::spawn(log_offline_changes(store.clone(), closing.clone()));
    let limits = &config.transport.limits;
    let Listening { main, tls, health } = listening;
    let checks = async {
        if let Some(health) = health {
            ticketing_ingress::serve(health, None, health_only, limits.for_health(), closing.clone()).await;
        }
    };
    let serving = ticketing_ingress::serve(main, tls, calls, limits.clone(), closing.clone());
    tokio::select! {
        _ = async { tokio::join!(stop, serving, checks) } => {}
        () = drain(&dispatcher, &closing, config.shutdown_grace) => {
            tracing::warn!("closed connections whose clients did not read their responses");
        }
    }
    dispatcher.shut_down(config.shutdown_grace).await;
    match why.await {
        Ok(StopReason::StoreFailed(StoreFailure::WriterEnded)) => Err(ServeError::StoreFailed),
        Ok(StopReason::StoreFailed(StoreFailure::Damaged { detail })) => {
            Err(ServeError::Damaged(OpenError::Damaged { path: config.data.join(DATABASE), detail }))
        }
        Ok(StopReason::DispatcherFailed) => Err(ServeError::DispatcherFailed),
        Ok(StopReason::Requested) | Err(_) => Ok(()),
    }
}

/// Completes when `grace` has passed since shutdown began. Callers wait for attempts, so attempts drain while the
/// server still responds; a client that reads nothing must not block that.
async fn drain(dispatcher: &Dispatcher, closing: &CancellationToken, grace: Duration) {
    closing.cancelled().await;
    tokio::join!(dispatcher.shut_down(grace), tokio::time::sleep(grace));
    tokio::time::sleep(DRAIN_GRACE).await;
}

/// Loads the settings and creates the connections that they describe.
async fn connect(
    store: &Store,
    client: HttpClient,
    vendors: Vendors,
) -> Result<(Settings, Connections), ServeError> {
    let settings = stored::read(store, &vendors).await.map_err(ServeError::Settings)?;
    let removed = store.removed_connections().await.map_err(ServeError::Settings)?;
    let removed: Vec<_> = removed.into_iter().map(|removed| removed.connection).collect();
    let connections = Connections::new(client, vendors, &removed);
    for (name, system) in &settings.connections {
        let retired = store.retired_connections(name).await.map_err(ServeError::Settings)?;
        let connection = Connection {
            system: system.draft.system(),
            enabled: system.enabled,
            settings_revision: settings.revisions.get(name).copied().unwrap_or_default(),
            current: connections.kept(name, system),
            retired: retired.into_iter().filter_map(|retired| connections.retired(retired)).collect(),
        };
        connections.set(name, connection);
    }
    Ok((settings, connections))
}
