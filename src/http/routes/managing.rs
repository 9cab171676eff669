//! What the bot knows, how everything is, and the pages.

use super::Access::{Open, Supervisor};
use super::{Operation, RESUMED, delete, get, post, put, readable};
use crate::http::console::Role::{Admin, Operator, Viewer};
use crate::http::console::{audit, live, page as console_page, sign_in};
use crate::http::openapi::{self, Failure, KNOWN, SEARCHED, STORED};
use crate::http::{
    classifier, decide, entries, knowledge, operations as health, page, supervision, unanswered, vectors,
};

/// Nothing was changed since what is stored does not allow it.
const REFUSED: &[Failure] = &[(409, "refused")];

/// Something that does not answer, or does not exist.
const SUPERVISED: &[Failure] = &[(404, "not_found"), (503, "no_answer")];

/// The knowledge base as a whole.
pub(super) fn of_knowledge() -> Vec<Operation> {
    vec![
        get(
            "/v1/knowledge",
            ("listEntries", "Entries, page by page, in the order of their ids and languages"),
            Supervisor(Viewer),
            knowledge::list,
        )
        .fails(KNOWN),
        post(
            "/v1/knowledge",
            ("importEntries", "Adds or replaces up to 50 entries, all or none"),
            Supervisor(Operator),
            knowledge::import,
        )
        .fails(KNOWN)
        .fails(&[(422, "invalid_entries")]),
        delete(
            "/v1/knowledge",
            ("removeEntry", "Removes an entry, in one language or in all"),
            Supervisor(Operator),
            knowledge::remove,
        )
        .fails(KNOWN),
        get(
            "/v1/knowledge/search",
            ("searchEntries", "The best hits for a question, with their scores"),
            Supervisor(Viewer),
            knowledge::search,
        )
        .fails(SEARCHED),
        get(
            "/v1/knowledge/decide",
            ("tryQuestion", "The hits of a question, and what a turn would do with them"),
            Supervisor(Viewer),
            decide::decide,
        )
        .fails(SEARCHED),
        get(
            "/v1/knowledge/unanswered",
            ("listUnanswered", "Questions of late that no stored answer fitted, the most frequent first"),
            Supervisor(Operator),
            unanswered::list,
        )
        .fails(STORED),
        post(
            "/v1/knowledge/import",
            ("importTable", "Adds or replaces the entries of a table, some at a time"),
            Supervisor(Operator),
            knowledge::import_table,
        )
        .about("What says the same as before is left as it is. One that fails in between is done by doing all of it again.")
        .fails(KNOWN)
        .fails(&[(422, "invalid_entries"), (503, "busy")]),
        get(
            "/v1/knowledge/status",
            ("getKnowledgeStatus", "How many entries there are, and how many each model has embedded"),
            Supervisor(Viewer),
            entries::status,
        )
        .fails(KNOWN),
    ]
}

/// Single entries, and vectors.
pub(super) fn of_entries() -> Vec<Operation> {
    vec![
        get(
            "/v1/knowledge/entry",
            ("getEntry", "What an entry says, in every language that it has or in one"),
            Supervisor(Viewer),
            entries::show,
        )
        .fails(KNOWN)
        .fails(&[(404, "not_found")]),
        put(
            "/v1/knowledge/entry",
            ("putEntry", "Adds or replaces one entry"),
            Supervisor(Operator),
            entries::put,
        )
        .headers(&[("If-None-Match", "`*`: the entry is added, and never replaced.")])
        .fails(KNOWN)
        .fails(&[(412, "exists"), (422, "invalid_entries")]),
        get(
            "/v1/knowledge/history",
            ("getEntryHistory", "What an entry said before, the newest first"),
            Supervisor(Viewer),
            entries::history,
        )
        .fails(KNOWN),
        post(
            "/v1/knowledge/restore",
            ("restoreEntry", "Lets an entry say again what it said in a version"),
            Supervisor(Operator),
            entries::restore,
        )
        .fails(KNOWN)
        .fails(&[(404, "not_found"), (422, "invalid_entries")]),
        post(
            "/v1/knowledge/vectors",
            ("putVectors", "Keeps what another model than the configured one made of entries"),
            Supervisor(Operator),
            vectors::put,
        )
        .about("So that the configuration can name that model later without a time in which nothing has a meaning.")
        .fails(KNOWN)
        .fails(&[(422, "invalid_vectors")]),
        delete(
            "/v1/knowledge/vectors",
            ("removeVectors", "Removes the vectors of all models but the configured one"),
            Supervisor(Admin),
            entries::vacuum,
        )
        .fails(KNOWN),
    ]
}

/// Examples of the classes.
pub(super) fn of_examples() -> Vec<Operation> {
    const PATH: &str = "/v1/classifier/examples";
    vec![
        get(
            PATH,
            ("listExamples", "Examples, page by page, with those that cannot be read"),
            Supervisor(Operator),
            classifier::list,
        )
        .fails(STORED),
        post(
            PATH,
            (
                "addExamples",
                "Adds up to 100 examples, all or none; of texts with the same words the latest is kept",
            ),
            Supervisor(Operator),
            classifier::add,
        )
        .about("The classifier learns from them by itself.")
        .fails(STORED)
        .fails(&[(409, "refused"), (422, "invalid_examples")]),
        delete(PATH, ("removeExample", "Removes an example"), Supervisor(Operator), classifier::remove)
            .fails(STORED)
            .fails(REFUSED),
    ]
}

/// The tree of supervision.
pub(super) fn of_supervision() -> Vec<Operation> {
    vec![
        get(
            "/v1/supervision/tree",
            ("getTree", "Every supervisor and worker, or what stands at a path and below"),
            Supervisor(Viewer),
            supervision::tree,
        )
        .fails(SUPERVISED),
        get(
            "/v1/supervision/overview",
            ("getOverview", "Figures, their last quarter of an hour, and warnings"),
            Supervisor(Viewer),
            live::overview,
        ),
        get(
            "/v1/supervision/events",
            ("streamSupervision", "Events that are kept, and, unless JSON is asked for, all that follow"),
            Supervisor(Viewer),
            supervision::events,
        )
        .about("With the header `Accept: application/json` the events that are kept are answered, else a stream.")
        .headers(RESUMED)
        .fails(&[(400, "invalid_header"), (503, "no_answer"), (503, "too_many_streams")]),
        get(
            "/v1/supervision/conversations",
            ("listConversationsInMemory", "The conversations in the memory of a shard, page by page"),
            Supervisor(Viewer),
            supervision::conversations,
        )
        .fails(SUPERVISED),
        get(
            "/v1/supervision/conversations/{id}",
            ("getConversationInMemory", "How one conversation is that is in memory"),
            Supervisor(Viewer),
            supervision::conversation,
        )
        .fails(SUPERVISED),
        post(
            "/v1/supervision/{path:.+}/{action}",
            ("askFor", "Restarts, pauses, resumes or drains what stands at a path of the tree"),
            Supervisor(Operator),
            supervision::act,
        )
        .about(
            "The path is that of a place in the tree, and may have slashes, as in `/v1/supervision/services/query/restart`. The wish is \
             passed on when this is answered; the tree and its events tell what comes of it.",
        )
        .fails(SUPERVISED)
        .fails(&[(409, "not_allowed")]),
    ]
}

/// Signing in, and what was done.
pub(super) fn of_the_console() -> Vec<Operation> {
    const SESSION: &str = "/console/session";
    vec![
        get(SESSION, ("getSession", "Who is signed in"), Supervisor(Viewer), sign_in::show),
        post(SESSION, ("signIn", "Signs somebody in, by a cookie"), Open, sign_in::sign_in)
            .about("Only from the console's own page: with a header `Origin` that is the host.")
            .fails(&[
                (401, "unauthorized"),
                (403, "foreign_origin"),
                (429, "rate_limited"),
                (500, "internal"),
                (503, "busy"),
            ]),
        delete(SESSION, ("signOut", "Ends the session"), Supervisor(Viewer), sign_in::sign_out),
        get(
            "/console/live",
            ("streamConsole", "Streams what a tab of the console shows, at most a frame every half second"),
            Supervisor(Viewer),
            live::stream,
        ),
        get(
            "/v1/audit",
            ("listAuditLog", "Who did what, why, and what came of it, the newest first"),
            Supervisor(Operator),
            audit::list,
        )
        .fails(STORED),
    ]
}

/// What watches the server.
pub(super) fn of_health() -> Vec<Operation> {
    vec![
        readable("/livez", ("getLiveness", "Whether the process lives"), Open, health::live),
        readable(
            "/readyz",
            ("getReadiness", "Whether a message would be taken and made durable now"),
            Open,
            health::ready,
        )
        .fails(STORED)
        .fails(&[(503, "draining"), (503, "store_timeout")]),
        readable("/metrics", ("getMetrics", "The metrics, as Prometheus reads them"), Open, health::metrics),
    ]
}

/// The pages, and the description of all this.
pub(super) fn of_pages() -> Vec<Operation> {
    const DISABLED: &[Failure] = &[(404, "channel_disabled")];
    vec![
        readable("/openapi.json", ("getOpenApi", "This document"), Open, openapi::show),
        readable(
            "/",
            ("getChatPage", "The chat page; a visitor without a cookie gets one"),
            Open,
            page::index,
        )
        .fails(DISABLED)
        .fails(&[(429, "rate_limited"), (500, "internal")]),
        readable("/chat.js", ("getChatScript", "The script of the chat page"), Open, page::script)
            .fails(DISABLED),
        readable("/chat.css", ("getChatStyle", "The style of the chat page"), Open, page::style)
            .fails(DISABLED),
        readable("/console", ("getConsoleAddress", "Where the console is"), Open, console_page::redirect),
        readable(
            "/console/{file:.*}",
            ("getConsoleFile", "A file of the console; every other path is a view of its page"),
            Open,
            console_page::file,
        ),
    ]
}
