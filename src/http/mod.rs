//! The HTTP interface. Speaks to actors by message and to ports, never to adapters.
