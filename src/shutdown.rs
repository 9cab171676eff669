//! The signals that ask the server to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the server is asked to stop; answers by what.
pub async fn asked() -> &'static str {
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    else {
        tracing::error!("cannot listen for signals; only a kill stops this server");
        return std::future::pending().await;
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => return "SIGTERM",
            _ = interrupt.recv() => return "SIGINT",
            // By default it would end the process, without a drain.
            _ = hangup.recv() => {
                tracing::warn!("SIGHUP: configuration and secrets are read at the start only; restart to change them");
            }
        }
    }
}
