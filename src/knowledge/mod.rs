//! Knowledge: search, classification and embedding, all embedded.
