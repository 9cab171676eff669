//! Channels: how a provider's webhooks are read and how parts of replies are sent.

pub mod split;
pub mod whatsapp;

use std::time::Duration;

/// The client that channels share: connections are kept, and redirects are not followed, since a POST that is sent again
/// elsewhere could be accepted twice.
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
        .build()
}
