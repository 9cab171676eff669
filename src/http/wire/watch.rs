//! How long a connection waits, and for what. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// How long a connection waits for the other side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::http) struct Patience {
    /// For a head, from its first byte on: `server.head_timeout_ms`.
    pub(in crate::http) head: Duration,
    /// For the first byte of the next head. Longer than `server.keep_alive_ms`, after which actix-http closes an idle
    /// connection by itself, unless it holds the beginning of a head already.
    pub(in crate::http) idle: Duration,
    /// For a response to be taken, from its last bytes that were: `server.write_timeout_ms`.
    pub(in crate::http) write: Duration,
}

/// What a connection waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waits {
    /// The rest of a head, or of a body that nobody wants any more.
    Head,
    /// The first byte of a head.
    Idle,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Watch {
    patience: Patience,
    /// Requests that are being served; while there are any, their own limits of time hold.
    requests: u32,
    waits: Waits,
    /// When the wait is over.
    until: Option<Instant>,
    /// When the wait is over for a response to be taken, while none of it is.
    write_until: Option<Instant>,
}

impl Watch {
    /// A connection that was just accepted. actix-http itself times its first head from then on.
    pub(super) const fn new(patience: Patience) -> Self {
        Self { patience, requests: 0, waits: Waits::Idle, until: None, write_until: None }
    }

    /// Bytes have come. Of all that come before the next request begins, the first counts.
    pub(super) fn read(&mut self, now: Instant) {
        if self.requests == 0 && self.waits == Waits::Idle {
            self.waits = Waits::Head;
            self.until = Some(now + self.patience.head);
        }
    }

    /// A head is complete.
    pub(super) const fn begun(&mut self) {
        self.requests += 1;
        self.waits = Waits::Idle;
        self.until = None;
    }

    /// The response to a request is complete, or given up.
    pub(super) fn ended(&mut self, now: Instant) {
        self.requests = self.requests.saturating_sub(1);
        if self.requests == 0 {
            self.waits = Waits::Idle;
            self.until = Some(now + self.patience.idle);
        }
    }

    /// A part of a response was taken.
    pub(super) const fn wrote(&mut self) {
        self.write_until = None;
    }

    /// Nothing of a response is taken; whether that has been so for too long.
    pub(super) fn blocked(&mut self, now: Instant) -> bool {
        now >= *self.write_until.get_or_insert(now + self.patience.write)
    }

    /// When the connection must be looked at again.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until.into_iter().chain(self.write_until).min()
    }

    /// What has not come in time.
    pub(super) fn expired(&self, now: Instant) -> Option<Waits> {
        self.until.is_some_and(|until| now >= until).then_some(self.waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(5),
        idle: Duration::from_secs(80),
        write: Duration::from_secs(10),
    };

    /// A watch, and a way to name moments by their seconds.
    fn watch() -> (Watch, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        (Watch::new(PATIENCE), move |seconds| start + Duration::from_secs(seconds))
    }

    #[test]
    fn a_head_is_timed_from_its_first_byte_however_many_follow() {
        let (mut watch, at) = watch();
        assert_eq!(watch.until(), None, "of a new connection actix-http times the head");
        watch.read(at(1));
        watch.read(at(4));
        assert_eq!((watch.until(), watch.expired(at(5))), (Some(at(6)), None));
        assert_eq!(watch.expired(at(6)), Some(Waits::Head));
    }

    #[test]
    fn nothing_is_timed_while_a_request_is_served_whatever_is_read_meanwhile() {
        let (mut watch, at) = watch();
        watch.read(at(0));
        watch.begun();
        watch.read(at(1));
        assert_eq!((watch.until(), watch.expired(at(1_000))), (None, None));
    }

    #[test]
    fn what_comes_after_a_response_is_a_head_again_and_silence_is_idle() {
        let (mut watch, at) = watch();
        watch.begun();
        watch.ended(at(10));
        assert_eq!((watch.expired(at(89)), watch.expired(at(90))), (None, Some(Waits::Idle)));
        watch.read(at(20));
        watch.read(at(24));
        assert_eq!(watch.expired(at(25)), Some(Waits::Head));
    }

    #[test]
    fn a_second_request_keeps_the_connection_busy_until_it_too_has_ended() {
        let (mut watch, at) = watch();
        watch.begun();
        watch.begun();
        watch.ended(at(1));
        assert_eq!(watch.until(), None);
        watch.ended(at(2));
        assert_eq!(watch.until(), Some(at(82)));
    }

    #[test]
    fn a_response_is_timed_from_the_last_bytes_that_were_taken() {
        let (mut watch, at) = watch();
        watch.begun();
        assert!(!watch.blocked(at(0)));
        assert!(!watch.blocked(at(9)));
        assert_eq!(watch.until(), Some(at(10)));
        watch.wrote();
        assert_eq!(watch.until(), None);
        assert!(!watch.blocked(at(10)));
        assert!(watch.blocked(at(20)));
    }
}
