//! Pure types of the field: what a message, a turn and a reply are. No IO, no actors, no clock.

pub mod books;
pub mod delivery;
pub mod ids;
pub mod intent;
pub mod journey;
pub mod knowledge;
pub mod memory;
pub mod message;
pub mod panic_text;
pub mod time;
pub mod turn;

pub use books::Books;
pub use delivery::{
    DeliveryStatus, OutboxPart, PartState, Recipient, ReplyPart, StatusUpdate, UnknownPartState,
};
pub use ids::{ConversationId, Epoch, PARTITIONS, PartId, Partition, TurnId};
pub use intent::{Class, Language, Route, UnknownName};
pub use journey::{Journey, Step, steps};
pub use knowledge::{Audience, Embedding, Entry, Filter, Hit, Version};
pub use memory::Memory;
pub use message::{Account, Channel, HistoryItem, InboundMessage, PendingMessage, Receipt, Sender, Speaker};
pub use panic_text::panic_text;
pub use time::{Tick, Timestamp};
pub use turn::{Disposition, OpenTurn, Record, Retry, TurnLimits};
