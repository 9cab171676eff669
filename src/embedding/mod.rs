//! Texts to vectors by a model of their meaning: a sentence-transformers model that runs here, or an endpoint elsewhere.
//! Adapters of the port, without actors.
