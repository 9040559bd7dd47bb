//! The one way to start a server.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use ticketing_core::clock::Clock;
use ticketing_core::violation::Violations;
use ticketing_outbound::{Door, DoorError};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Settings};
use crate::config::{Config, ConfigError};
use crate::connections::{Connection, Connections};
use crate::dispatch::{Dispatcher, Schedule};
use crate::entropy::SystemEntropy;
use crate::grpc;
use crate::settings::stored;
use crate::store::{OpenError, Store, StoreError, StoreOptions};

/// The file of the database in the data folder.
const DATABASE: &str = "ticketing.db";

/// Why a server did not start, or how it ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the settings of this server can not work")]
    Config(#[from] ConfigError),
    #[error("can not listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the database can not be opened")]
    Open(#[from] OpenError),
    #[error("the stored settings can not be read")]
    Settings(#[source] StoreError),
    #[error("no connections can be made")]
    Door(#[from] DoorError),
    #[error("the service can not be described")]
    Reflection(#[from] tonic_reflection::server::Error),
    #[error("the server broke off")]
    Transport(#[from] tonic::transport::Error),
}

/// Takes the address of `config`.
///
/// # Errors
/// [`ServeError::Config`] or [`ServeError::Listen`], with the flag to mend.
pub async fn listen(config: &Config) -> Result<TcpListener, ServeError> {
    config.check()?;
    let address = config.listen;
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// Serves on `listener` until `shutdown` completes; then drains: starts nothing new, ends streams with their last token,
/// waits for what is under way.
///
/// # Errors
/// Why it could not start, or how it broke off.
pub async fn serve(
    config: Config,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    config.check()?;
    let store = open(&config, clock.clone()).await?;
    let served = serve_over(&config, &store, listener, clock, shutdown).await;
    store.close().await;
    served
}

async fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Store, ServeError> {
    let database: PathBuf = config.data.join(DATABASE);
    let key = config.key_source();
    let (store, opened) =
        Store::open(&database, StoreOptions { clock, entropy: Arc::new(SystemEntropy), key }).await?;
    if let Some(key_file) = opened.key_made {
        tracing::warn!(key_file = %key_file.display(), "made a key that seals the stored secrets: keep a copy of it");
    }
    Ok(store)
}

async fn serve_over(
    config: &Config,
    store: &Store,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let (settings, connections) = connect(store, Door::new(clock.clone())?).await?;
    let bounds = config.bounds();
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
    let app = App::new(store.clone(), dispatcher.clone(), connections, clock, bounds, settings);

    let closing = CancellationToken::new();
    let streams = grpc::StreamSettings {
        bookmark_interval: config.bookmark_interval,
        patience: config.slow_subscriber,
    };
    let (router, health) = grpc::router(grpc::Service::new(app, streams, closing.clone())).await?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, data = %config.data.display(), "listening");
    }
    let worker = tokio::spawn({
        let dispatcher = dispatcher.clone();
        async move { dispatcher.run().await }
    });
    // Callers wait for attempts, so attempts are drained while the server still answers.
    let drained = tokio::spawn({
        let (closing, grace) = (closing.clone(), config.shutdown_grace);
        async move {
            closing.cancelled().await;
            dispatcher.shut_down(grace).await;
        }
    });
    let stop = {
        let closing = closing.clone();
        async move {
            shutdown.await;
            tracing::info!("stopping");
            health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
            closing.cancel();
        }
    };
    let served = router.serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop).await;
    // Without this a server that broke off by itself would never be drained.
    closing.cancel();
    let _ = drained.await;
    // A worker that panicked was logged by the panic hook; everything it had accepted is in the store.
    let _ = worker.await;
    served.map_err(ServeError::from)
}

/// Reads the settings and makes the connections that they describe.
async fn connect(store: &Store, door: Door) -> Result<(Settings, Connections), ServeError> {
    let settings = stored::read(store).await.map_err(ServeError::Settings)?;
    let connections = Connections::new(door);
    for (target, system) in &settings.systems {
        let retired = store.retired_connections(target).await.map_err(ServeError::Settings)?;
        let connection = Connection {
            system: system.draft.system(),
            enabled: system.enabled,
            current: connections.check(system, &mut Violations::default()).map(|checked| checked.api),
            retired: retired.into_iter().filter_map(|retired| connections.retired(retired)).collect(),
        };
        connections.set(target, connection);
    }
    Ok((settings, connections))
}
