//! Channels that are down: one part finds out whether its channel is back, all others wait in their order.

use std::time::Duration;

use super::{Dispatcher, End, Next};
use crate::domain::{Channel, PartState, Tick};

/// A channel that is down.
#[derive(Clone, Copy)]
pub(super) struct Down {
    /// When one send may find out whether it is back.
    until: Tick,
    /// One is under way to find out.
    pub(super) is_probing: bool,
}

impl Dispatcher {
    /// What can be done while channels are down. A part that carries its mark goes all the same; it is told soon enough.
    pub(super) fn unless_down(&self, next: Next, now: Tick) -> Next {
        let Next::Send(part) = next else { return next };
        match self.down.get(&part.account.channel) {
            Some(down) if part.state != PartState::Sending && (down.until > now || down.is_probing) => {
                Next::Wait(down.until.max(now.after(self.down_wait())))
            }
            _ => Next::Send(part),
        }
    }

    /// What the end of a send says about its channel.
    pub(super) fn hear_of_channel(&mut self, channel: Channel, end: &End) {
        match end {
            End::ChannelDown(_) => {
                let until = self.shard.clock.tick().after(self.down_wait());
                self.down.insert(channel, Down { until, is_probing: false });
            }
            End::Marked(_) => drop(self.down.remove(&channel)),
            // It never came to a send.
            End::Contradicted | End::StoreAway | End::Unposted => {
                if let Some(down) = self.down.get_mut(&channel) {
                    down.is_probing = false;
                }
            }
        }
    }

    /// How long a channel that is down is left alone.
    fn down_wait(&self) -> Duration {
        Duration::from_millis(self.shard.outbox.retry_base_ms)
    }
}
