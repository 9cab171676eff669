//! The codes of problems, and what each means to a caller.

/// A status, and the code of the problem that is answered with it.
pub(in crate::http) type Failure = (u16, &'static str);

/// What the store may refuse.
pub(in crate::http) const STORED: &[Failure] =
    &[(500, "corrupt"), (503, "overloaded"), (503, "store_unavailable"), (503, "closing")];

/// What the knowledge base may refuse.
pub(in crate::http) const KNOWN: &[Failure] = &[
    (409, "refused"),
    (500, "corrupt"),
    (503, "overloaded"),
    (503, "store_unavailable"),
    (503, "knowledge_unavailable"),
    (503, "closing"),
];

/// What a search may come to.
pub(in crate::http) const SEARCHED: &[Failure] =
    &[(503, "overloaded"), (503, "search_timeout"), (503, "search_down"), (503, "search_failed")];

/// What each code means.
pub(in crate::http) const CODES: &[(&str, &str)] = &[
    ("body_incomplete", "the body was cut off"),
    ("body_timeout", "the body took longer than `server.body_timeout_ms`"),
    ("body_too_large", "the body is longer than `server.body_limit_bytes`"),
    ("busy", "too much of this is under way; try again"),
    ("channel_disabled", "the channel is not enabled here"),
    ("closing", "the server is shutting down; try again later"),
    ("corrupt", "what is stored of this cannot be read; the log of the server says more"),
    ("draining", "the server is shutting down"),
    ("exists", "there is such an entry already"),
    ("forbidden", "the caller may not do this; the detail names the role that may"),
    (
        "foreign_origin",
        "the request comes from a page of another site, or from beyond this machine where only this one may ask",
    ),
    ("id_in_use", "another sender's message has this id"),
    ("internal", "something is missing that the server needs; its log says what"),
    ("invalid_class", "the body does not name a class"),
    ("invalid_entries", "the body is not what is expected here; the detail says where"),
    ("invalid_examples", "the body is no list of examples; the detail says where"),
    ("invalid_field", "a field of the body is wrong; `field` names it"),
    ("invalid_header", "a header is wrong; the detail names it"),
    ("invalid_query", "a parameter of the query is wrong; the detail says which"),
    ("invalid_vectors", "the body is not what a model made; the detail says where"),
    ("knowledge_unavailable", "the entries are kept elsewhere, and cannot be reached now"),
    ("malformed_json", "the body is not JSON, or no object where one is expected"),
    ("method_not_allowed", "the path is served with other methods, which the header `Allow` names"),
    ("no_answer", "what was asked does not answer; try again"),
    ("not_allowed", "this cannot be asked of it; the detail says what can"),
    ("not_found", "there is nothing by this name that the caller may see"),
    ("overloaded", "a limit is met, which `limit` may name; try again later"),
    ("rate_limited", "too many requests; wait a little"),
    ("refused", "what is stored does not allow it; the detail says why, and nothing is changed"),
    ("search_down", "searches fail, and are not tried for a while"),
    ("search_failed", "the search failed"),
    ("search_timeout", "the search took too long"),
    ("store_timeout", "the database takes too long"),
    ("store_unavailable", "the database cannot be used now; try again later"),
    ("too_many_streams", "as many streams are open as may be"),
    ("unauthorized", "the caller has not shown who they are, or not rightly"),
    ("unsupported_media_type", "the body must be sent as `application/json`"),
    ("wrong_signature", "the signature is missing or does not fit the body"),
    ("wrong_verify_token", "the mode or the verify token is wrong"),
];

/// What a code means.
pub(super) fn meaning(code: &str) -> &'static str {
    CODES.iter().find(|(known, _)| *known == code).map_or("", |(_, meaning)| meaning)
}
