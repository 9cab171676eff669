//! The signals that ask the server to stop, or to read its secrets again.

use tokio::signal::unix::{SignalKind, signal};

/// Waits until the server is asked to stop; answers by what. Whenever SIGHUP asks for it, `reread` reads the secrets again.
pub async fn asked(reread: impl Fn()) -> &'static str {
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
                tracing::info!("SIGHUP: reading again the secrets that stand in files; all else is read at the start only");
                reread();
            }
        }
    }
}
