//! From a committed reply to the channel.

pub mod dispatcher;
pub mod lane;
pub mod retry;
