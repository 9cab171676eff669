//! Channels: how a provider's webhooks are read and how parts of replies are sent.

pub mod split;
pub mod whatsapp;

use std::time::Duration;

/// Shorter than what common servers keep an idle connection for; the shortest default is 5 s (Node.js, actix-web).
const IDLE: Duration = Duration::from_secs(4);

/// The client that channels share: connections are kept, and redirects are not followed, since a POST that is sent again
/// elsewhere could be accepted twice.
///
/// An idle connection is closed after [`IDLE`]: a request that is written to one which its peer is closing has an unknown
/// outcome.
///
/// `connect_timeout` must be shorter than a call's own limit of time: only then is a call that never connected told from
/// one whose outcome is unknown.
///
/// # Errors
/// When the system offers no TLS.
pub fn client(connect_timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .pool_idle_timeout(IDLE)
        .build()
}
