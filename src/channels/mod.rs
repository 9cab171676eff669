//! Channels: how a provider's webhooks are read and how parts of replies are sent.
