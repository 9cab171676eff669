//! What goes wrong in a simulated world.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use tertulia_actors::domain::Timestamp;

use super::chance::{Dice, Of};

/// One kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// The server dies without a drain, at chosen moments, and is started again on its database.
    Crash,
    /// Webhooks come several times, also at once, and their senders hang up on some of them.
    Redeliver,
    /// Webhooks overtake one another.
    Shuffle,
    /// Webhooks come hours late.
    Late,
    /// The channel's answer is cut off, after it accepted the part or before.
    CutSends,
    /// The model fails, throttles, and is away for minutes.
    LlmErrors,
    /// The model does not answer in time.
    LlmStall,
    /// The channel throttles, and connections to it are not made.
    Throttle,
    /// The writer's hints to the actors are lost.
    Tells,
}

impl Fault {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 9] = [
        ("crash", Self::Crash),
        ("redeliver", Self::Redeliver),
        ("shuffle", Self::Shuffle),
        ("late", Self::Late),
        ("cut-sends", Self::CutSends),
        ("llm-errors", Self::LlmErrors),
        ("llm-stall", Self::LlmStall),
        ("throttle", Self::Throttle),
        ("tells", Self::Tells),
    ];
}

/// The faults of a simulation, written as a list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults(BTreeSet<Fault>);

impl Faults {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Self(Fault::ALL.map(|(_, fault)| fault).into_iter().collect())
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.0.contains(&fault)
    }
}

impl FromStr for Faults {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => return Ok(Self::all()),
            "none" => return Ok(Self::default()),
            _ => {}
        }
        let fault = |name: &str| {
            let known = Fault::ALL.iter().find(|(known, _)| *known == name.trim());
            known.map(|(_, fault)| *fault).ok_or_else(|| {
                let names = Fault::ALL.map(|(name, _)| name).join(", ");
                format!("'{name}' is no fault: there are all, none, or a list of {names}")
            })
        };
        text.split(',').map(fault).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        if *self == Self::all() {
            return f.write_str("all");
        }
        let names = Fault::ALL.iter().filter(|(_, fault)| self.has(*fault)).map(|(name, _)| *name);
        f.write_str(&names.collect::<Vec<_>>().join(","))
    }
}

/// At what the server dies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moment {
    /// At nothing in particular.
    Any,
    /// A body is complete, and nothing of it stored.
    Arrived,
    /// A webhook was answered with 200: what it brought must be stored by now.
    Acknowledged,
    /// A commit is on the disk, and nobody was told.
    Committed,
    /// The model was asked.
    Asked,
    /// The model has answered, and the answer is not stored.
    Answered,
    /// The channel was handed a part, and has not decided.
    Posted,
    /// The channel has accepted a part, and its answer was not heard.
    Accepted,
}

impl Moment {
    const ALL: [Self; 8] = [
        Self::Any,
        Self::Arrived,
        Self::Acknowledged,
        Self::Committed,
        Self::Asked,
        Self::Answered,
        Self::Posted,
        Self::Accepted,
    ];
}

/// A death of the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Crash {
    /// Not before this time.
    pub(super) after: Timestamp,
    /// At the first such moment from then on.
    pub(super) at: Moment,
    /// How long it takes until the server is started again, in milliseconds.
    pub(super) down_ms: i64,
}

/// Deaths between two times, some of them soon after the one before. Chosen around the `busy` times, when there is
/// something to be lost.
pub(super) fn crashes(seed: u64, days: u32, busy: &[Timestamp]) -> Vec<Crash> {
    /// Per day; a server that never comes to rest between two of them finds nothing new.
    const PER_DAY: u32 = 16;
    if busy.is_empty() {
        return vec![];
    }
    let dice = Dice::new(seed, Of::Crashes, 0);
    let mut crashes: Vec<Crash> = (0..PER_DAY * days)
        .flat_map(|number| {
            let mut prng = dice.of(u64::from(number));
            let index = usize::try_from(prng.next() % busy.len() as u64).unwrap_or(0);
            let in_a_row = if prng.chance(0.25) { prng.between(2, 4) } else { 1 };
            let mut after = busy[index].0 + i64::try_from(prng.between(0, 8_000)).unwrap_or(0);
            let crash = |_| {
                let at = Moment::ALL[usize::try_from(prng.next() % 8).unwrap_or(0)];
                let down_ms = i64::try_from(prng.between(200, 20_000)).unwrap_or(200);
                let crash = Crash { after: Timestamp(after), at, down_ms };
                after += i64::try_from(prng.between(0, 30_000)).unwrap_or(0);
                crash
            };
            (0..in_a_row).map(crash).collect::<Vec<_>>()
        })
        .collect();
    crashes.sort_by_key(|crash| (crash.after, crash.down_ms));
    crashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written() {
        for (text, written) in
            [("all", "all"), ("none", "none"), ("tells,crash", "crash,tells"), ("llm-stall", "llm-stall")]
        {
            assert_eq!(text.parse::<Faults>().unwrap().to_string(), written);
        }
        let refused = "crash,fire".parse::<Faults>().unwrap_err();
        assert!(refused.contains("'fire'") && refused.contains("cut-sends"), "{refused}");
    }

    #[test]
    fn crashes_are_in_order_near_busy_times_and_of_every_kind() {
        let busy: Vec<_> = (0..50).map(|n| Timestamp(n * 1_000_000)).collect();
        let crashes = crashes(3, 4, &busy);
        assert!(crashes.windows(2).all(|pair| pair[0].after <= pair[1].after));
        for moment in Moment::ALL {
            assert!(crashes.iter().any(|crash| crash.at == moment), "{moment:?}");
        }
        assert_eq!(super::crashes(3, 4, &[]), []);
    }
}
