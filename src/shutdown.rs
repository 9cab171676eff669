//! The signals that ask the server to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the server is asked to stop; answers by what.
pub async fn asked() -> &'static str {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot listen for signals; only a kill stops this server");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
