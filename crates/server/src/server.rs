//! The one way to start a server.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ticketing_core::clock::Clock;
use ticketing_core::delivery::restore::RESTORE_WINDOW;
use ticketing_core::policy::Bounds;
use ticketing_outbound::{Door, DoorError, Reach};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::access::{Access, JwtKeysError};
use crate::app::App;
use crate::clock::ThisMachine;
use crate::config::{Config, ConfigError, OutboundError};
use crate::connections::{Connection, Connections};
use crate::dispatch::{Dispatcher, Schedule};
use crate::entropy::SystemEntropy;
use crate::grpc;
use crate::offline_changes::log_offline_changes;
use crate::process;
use crate::settings::{Settings, stored};
use crate::store::{
    BackupError, DEFAULT_BUSY_TIMEOUT, KeySource, OpenError, Opened, Store, StoreError, StoreOptions,
};
use crate::transport::{self, ListenAddress, ListenError, Listener, Tls, TlsError};

/// The file of the database in the data folder.
pub(crate) const DATABASE: &str = "ticketing.db";

/// What callers have to read their answers in after the last attempt was cut off.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why a server did not start, or how it ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the settings of this server can not work")]
    Config(#[from] ConfigError),
    #[error("can not listen on {address}; {flag} names another address")]
    Listen { flag: &'static str, address: ListenAddress, source: ListenError },
    #[error("callers can not be under TLS")]
    Tls(#[from] TlsError),
    #[error("nobody can be called")]
    Outbound(#[from] OutboundError),
    #[error("the database can not be opened")]
    Open(#[from] OpenError),
    #[error("--auth jwt can not work")]
    JwtKeys(#[from] JwtKeysError),
    #[error("the stored settings can not be read")]
    Settings(#[source] StoreError),
    #[error("no connections can be made")]
    Door(#[from] DoorError),
    #[error("the service can not be described")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error(
        "the store can not be written any more: start the server again; nothing that was accepted is lost"
    )]
    StoreFailed,
    #[error("the dispatcher has ended: start the server again; nothing that was accepted is lost")]
    DispatcherFailed,
}

/// Why a server stops.
#[derive(Debug, Clone, Copy)]
enum Why {
    Asked,
    StoreFailed,
    DispatcherFailed,
}

/// What a server listens on, and what it shows there.
#[derive(Debug)]
pub struct Listening {
    main: Listener,
    tls: Option<Arc<Tls>>,
    health: Option<Listener>,
}

impl Listening {
    /// Where callers come to.
    ///
    /// # Errors
    /// The system does not know.
    pub fn local_address(&self) -> io::Result<ListenAddress> {
        self.main.local_address()
    }
}

/// Takes the addresses of `config`, and reads the certificates.
///
/// # Errors
/// [`ServeError::Config`], [`ServeError::Listen`] or [`ServeError::Tls`], with the flag to mend.
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

/// Serves until `shutdown` completes; then drains: starts nothing new, ends streams with their last token,
/// waits for what is under way.
///
/// # Errors
/// Why it could not start, or how it broke off.
pub async fn serve(
    config: Config,
    listening: Listening,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    config.check()?;
    let reach = config.outbound.reach()?;
    let store = open(&config, clock.clone()).await?;
    process::tell_of_file_limit(config.transport.most_connections());
    process::tell_of_open_secrets(&config.secret_files());
    process::warn_of_open_folder(&config.data);
    let served = serve_over(&config, reach, &store, listening, clock, shutdown).await;
    store.close().await;
    served
}

/// Copies the database in the folder `data` to `file`, while a server works with it or not.
///
/// # Errors
/// Why there is no copy.
pub async fn backup(data: &Path, file: &Path, clock: &dyn Clock) -> Result<(), BackupError> {
    Store::backup(&data.join(DATABASE), file, clock.now()).await
}

async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Store, ServeError> {
    let database: PathBuf = config.data.join(DATABASE);
    let key = config.key.source();
    let (machine, entropy) = (Arc::new(ThisMachine), Arc::new(SystemEntropy));
    let Config { restored, busy_timeout, .. } = *config;
    let options = StoreOptions { clock, entropy, machine, key, restored, busy_timeout };
    let (store, opened) = Store::open(&database, options).await?;
    tell(&opened, config);
    Ok(store)
}

/// Makes the database in the folder `data`, which nobody may work with meanwhile.
///
/// # Errors
/// Why it can not be made.
pub async fn make(data: &Path, key: KeySource, clock: Arc<dyn Clock>) -> Result<(), OpenError> {
    let (machine, entropy) = (Arc::new(ThisMachine), Arc::new(SystemEntropy));
    let busy_timeout = DEFAULT_BUSY_TIMEOUT;
    let options = StoreOptions { clock, entropy, machine, key, restored: false, busy_timeout };
    let (store, opened) = Store::open(&data.join(DATABASE), options).await?;
    if let Some(key_file) = &opened.key_made {
        tell_of_key(key_file);
    }
    store.close().await;
    Ok(())
}

fn tell_of_key(key_file: &Path) {
    tracing::warn!(key_file = %key_file.display(), "made a key that seals the stored secrets: keep a copy of it");
}

/// Tells an operator what was found at the start.
fn tell(opened: &Opened, config: &Config) {
    if let Some(key_file) = &opened.key_made {
        tell_of_key(key_file);
    }
    if let Some(suspicion) = &opened.suspicion {
        let bounds = config.bounds();
        tracing::warn!(
            %suspicion, server_bound = ?bounds.server_bound, jira_cloud_index_bound = ?bounds.jira_cloud_index_bound,
            jira_data_center_index_bound = ?bounds.jira_data_center_index_bound, for_days = RESTORE_WINDOW.as_secs() / 86_400,
            "the database may have been put back from an older copy, so each ticket is looked for before it is created: \
             the first ones wait until these bounds have passed"
        );
    }
    if !opened.clock_step.is_zero() {
        tracing::warn!(by = %opened.clock_step, "the clock was set since the last run: what is due was moved along with it");
    }
}

async fn serve_over(
    config: &Config,
    reach: Reach,
    store: &Store,
    listening: Listening,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let bounds = config.bounds();
    let (settings, connections) =
        connect(store, Door::new(clock.clone(), config.attempt_deadline, reach)?, &bounds).await?;
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
        patience: config.slow_subscriber,
    };
    let service = grpc::Service::new(app, access.clone(), streams, closing.clone());
    let grpc::Served { calls, health_alone, health } =
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
        let (closing, store_failed) = (closing.clone(), store.failed());
        async move {
            let why = tokio::select! {
                () = shutdown => Why::Asked,
                () = store_failed => Why::StoreFailed,
                _ = worker => Why::DispatcherFailed,
            };
            tracing::info!(?why, "stopping");
            grpc::stop_serving::<grpc::Service>(&health).await;
            closing.cancel();
            // Nobody listens to it once the server broke off.
            let _ = stopping.send(why);
        }
    };
    tokio::spawn(log_offline_changes(store.clone(), closing.clone()));
    let limits = &config.transport.limits;
    let Listening { main, tls, health } = listening;
    let checks = async {
        if let Some(health) = health {
            transport::serve(health, None, health_alone, limits.for_health(), closing.clone()).await;
        }
    };
    let serving = transport::serve(main, tls, calls, limits.clone(), closing.clone());
    tokio::select! {
        _ = async { tokio::join!(stop, serving, checks) } => {}
        () = drain(&dispatcher, &closing, config.shutdown_grace) => {
            tracing::warn!("connections were cut off: their peers did not read what was left for them");
        }
    }
    dispatcher.shut_down(config.shutdown_grace).await;
    match why.await {
        Ok(Why::StoreFailed) => Err(ServeError::StoreFailed),
        Ok(Why::DispatcherFailed) => Err(ServeError::DispatcherFailed),
        Ok(Why::Asked) | Err(_) => Ok(()),
    }
}

/// Completes when `grace` has passed since the server began to stop. Callers wait for attempts, so attempts are drained
/// while the server still answers; but a peer that reads nothing would hold its connection open for as long as it likes.
async fn drain(dispatcher: &Dispatcher, closing: &CancellationToken, grace: Duration) {
    closing.cancelled().await;
    tokio::join!(dispatcher.shut_down(grace), tokio::time::sleep(grace));
    tokio::time::sleep(LAST_WORDS).await;
}

/// Reads the settings and makes the connections that they describe.
async fn connect(store: &Store, door: Door, bounds: &Bounds) -> Result<(Settings, Connections), ServeError> {
    let settings = stored::read(store).await.map_err(ServeError::Settings)?;
    let connections = Connections::new(door, bounds);
    for (target, system) in &settings.systems {
        let retired = store.retired_connections(target).await.map_err(ServeError::Settings)?;
        let connection = Connection {
            system: system.draft.system(),
            enabled: system.enabled,
            current: connections.kept(target, system),
            retired: retired.into_iter().filter_map(|retired| connections.retired(retired)).collect(),
        };
        connections.set(target, connection);
    }
    Ok((settings, connections))
}
