//! Identifiers, and the one hash that places a conversation.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that comes from the injected [`Entropy`](crate::ports::Entropy) or from the store.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The wrapped UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

uuid_id!(
    /// One person's conversation with the business on one channel account.
    ConversationId
);
uuid_id!(
    /// One turn: a fixed set of messages that is answered once.
    TurnId
);
uuid_id!(
    /// One part of a reply, as it is handed to a channel. Sent along as our callback data.
    PartId
);

/// How many partitions there are. Fixed: a conversation's partition is stored on its row.
pub const PARTITIONS: u16 = 256;

/// The unit of ownership: a slice of all conversations, fenced by an [`Epoch`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(u8);

impl Partition {
    /// The number of the partition, 0 to 255.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The shard that works for this partition when there are `shards` of them.
    #[must_use]
    pub fn shard(self, shards: usize) -> usize {
        usize::from(self.0) % shards.max(1)
    }
}

impl ConversationId {
    /// The partition of this conversation: the low byte of the folded FNV-1a hash (64 bit) of the id's 16 bytes.
    ///
    /// The hash is fixed for ever, since the partition is stored on the row and other nodes compute it too.
    #[must_use]
    pub fn partition(self) -> Partition {
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0100_0000_01b3;
        let hash = self
            .uuid()
            .as_bytes()
            .iter()
            .fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME));
        let folded = hash ^ (hash >> 32);
        Partition((folded ^ (folded >> 16)).to_le_bytes()[0])
    }
}

/// The number of a takeover. It grows each time a process takes the partitions over, so that a stale owner's write
/// is refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_of_a_known_id_never_changes() {
        for (id, partition) in
            [("00000000-0000-0000-0000-000000000000", 3), ("01890a5d-ac96-774b-bcce-b302099a8057", 36)]
        {
            let id: ConversationId = id.parse().expect("a literal id");
            assert_eq!(id.partition().number(), partition, "{id}");
        }
    }

    #[test]
    fn partitions_spread_evenly_over_time_ordered_ids() {
        let mut counts = [0_u32; PARTITIONS as usize];
        for n in 0..256_000_u128 {
            let id = ConversationId::new(Uuid::from_u128((0x0189 << 112) | n));
            counts[usize::from(id.partition().number())] += 1;
        }
        let (min, max) = (counts.iter().min(), counts.iter().max());
        assert!(min > Some(&800) && max < Some(&1_200), "{min:?} {max:?}");
    }

    #[test]
    fn every_partition_has_a_shard_below_the_count() {
        for number in 0..=255 {
            for shards in 1..9 {
                assert!(Partition(number).shard(shards) < shards);
            }
        }
    }
}
