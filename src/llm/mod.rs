//! Language models that compose answers, and what answers without one. Adapters of the query port, without actors.

pub mod openai;
pub mod stored;

pub use openai::{LlmSettings, OpenAiQuery};
pub use stored::StoredQuery;
