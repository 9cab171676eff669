//! The limits of a front, as they are written.

use serde::{Deserialize, Serialize};
use tertulia_actors::settings::FrontSettings;

/// Calls that wait before any front.
const QUEUE_MAX: usize = 4_096;

/// The limits of a front with these defaults. A key that is not given has the default of this very front, however many
/// others are given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(from = "Given")]
pub struct Front<const IN_FLIGHT_MAX: usize, const DEADLINE_MS: u64>(pub FrontSettings);

impl<const IN_FLIGHT_MAX: usize, const DEADLINE_MS: u64> Default for Front<IN_FLIGHT_MAX, DEADLINE_MS> {
    fn default() -> Self {
        Self(FrontSettings { in_flight_max: IN_FLIGHT_MAX, queue_max: QUEUE_MAX, deadline_ms: DEADLINE_MS })
    }
}

/// The keys that are given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    in_flight_max: Option<usize>,
    queue_max: Option<usize>,
    deadline_ms: Option<u64>,
}

impl<const IN_FLIGHT_MAX: usize, const DEADLINE_MS: u64> From<Given> for Front<IN_FLIGHT_MAX, DEADLINE_MS> {
    fn from(given: Given) -> Self {
        let Self(default) = Self::default();
        Self(FrontSettings {
            in_flight_max: given.in_flight_max.unwrap_or(default.in_flight_max),
            queue_max: given.queue_max.unwrap_or(default.queue_max),
            deadline_ms: given.deadline_ms.unwrap_or(default.deadline_ms),
        })
    }
}

/// The limits of a front whose calls are worked on by threads of its own: as many are under way as there are threads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ThreadsFront {
    /// Calls that wait; one more is refused.
    pub queue_max: usize,
    /// A call that has no answer after this long is refused.
    pub deadline_ms: u64,
}

impl Default for ThreadsFront {
    fn default() -> Self {
        Self { queue_max: QUEUE_MAX, deadline_ms: 2_000 }
    }
}

impl ThreadsFront {
    /// The limits with this number of threads.
    #[must_use]
    pub const fn over(self, threads: usize) -> FrontSettings {
        let Self { queue_max, deadline_ms } = self;
        FrontSettings { in_flight_max: threads, queue_max, deadline_ms }
    }
}
