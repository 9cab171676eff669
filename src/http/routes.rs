//! Everything that is served, in one table: it registers the routes, and the description of the interface is made from it. The
//! operations of a path stand together; of two paths that fit a request, the first one serves it.

mod managing;
mod messaging;

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, Responder, Route, web};

use super::console::Role;
use super::openapi::{Describe, Draft, Failure};
use super::problem::Problem;
use super::state::HttpState;

/// What operations are about, in the order in which they are shown.
pub(super) const TAGS: &[(&str, &str)] = &[
    ("messages", "Messages on their way in."),
    (
        "conversations",
        "Conversations: what was said, what happens, and people who answer in the place of the bot.",
    ),
    ("journeys", "How turns came to their answers."),
    ("leftovers", "What went wrong and waits for people, and what turns recorded for them."),
    ("knowledge", "The knowledge base."),
    ("classifier", "Examples of the classes of turns."),
    ("supervision", "How everything is, what happens to it, and what can be asked of it."),
    ("console", "Who is signed in, and what they did."),
    ("health", "What tools ask that watch the server."),
    ("pages", "The pages, and this document."),
];

/// Where a stream that was cut off goes on.
const RESUMED: &[(&str, &str)] = &[(
    "Last-Event-ID",
    "The id of the last event that was read; a browser sends it when it connects again.",
)];

/// Who may ask for an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Access {
    /// Everybody.
    Open,
    /// Who writes messages: a program, or a visitor of the chat page.
    Writer,
    /// Whose conversation it is, or who supervises and has this role.
    Reader(Role),
    /// Who supervises and has this role.
    Supervisor(Role),
    /// Who can sign the body.
    Signature,
}

/// One method of one path.
pub(super) struct Operation {
    pub(super) method: Method,
    /// The path, as actix reads it.
    pub(super) path: &'static str,
    /// Its name for programs: stable.
    pub(super) id: &'static str,
    /// What it does, in a line.
    pub(super) summary: &'static str,
    /// What else is worth knowing.
    pub(super) about: &'static str,
    pub(super) tag: &'static str,
    pub(super) access: Access,
    /// Headers of the request that mean something.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// Whether it is served for HEAD, too.
    pub(super) is_headed: bool,
    /// What its handler's types say of it.
    pub(super) describe: fn(&mut Draft<'_>),
    /// What may go wrong, beside what its types and its access say.
    fails: Vec<&'static [Failure]>,
    routes: Vec<Route>,
}

impl Operation {
    fn new<F, Args>(
        method: Method,
        path: &'static str,
        (id, summary): (&'static str, &'static str),
        access: Access,
        handler: F,
    ) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + Describe + 'static,
        F::Output: Responder + Describe + 'static,
    {
        Self {
            routes: vec![web::method(method.clone()).to(handler)],
            describe: |draft| {
                Args::describe(draft);
                F::Output::describe(draft);
            },
            method,
            path,
            id,
            summary,
            access,
            about: "",
            tag: "",
            headers: &[],
            is_headed: false,
            fails: vec![],
        }
    }

    /// What else is worth knowing.
    fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// A header of the request that means something.
    fn headers(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.headers = headers;
        self
    }

    /// What may go wrong, beside what its types and its access say.
    fn fails(mut self, failures: &'static [Failure]) -> Self {
        self.fails.push(failures);
        self
    }

    /// What may go wrong.
    pub(super) fn failures(&self) -> impl Iterator<Item = Failure> {
        let by_access: &[Failure] = match self.access {
            Access::Open | Access::Signature => &[],
            Access::Writer | Access::Reader(_) => {
                &[(401, "unauthorized"), (403, "forbidden"), (403, "foreign_origin")]
            }
            Access::Supervisor(Role::Viewer) if self.method.is_safe() => &[(401, "unauthorized")],
            Access::Supervisor(_) if self.method.is_safe() => &[(401, "unauthorized"), (403, "forbidden")],
            Access::Supervisor(_) => &[(401, "unauthorized"), (403, "forbidden"), (403, "foreign_origin")],
        };
        by_access.iter().chain(self.fails.iter().copied().flatten()).copied()
    }
}

/// Everything that is served.
pub(super) fn operations() -> Vec<Operation> {
    let tagged = |tag, operations: Vec<Operation>| {
        operations.into_iter().map(move |operation| Operation { tag, ..operation })
    };
    let mut all = vec![];
    all.extend(tagged("messages", messaging::ways_in()));
    all.extend(tagged("conversations", messaging::of_conversations()));
    all.extend(tagged("conversations", messaging::of_handoff()));
    all.extend(tagged("journeys", messaging::of_journeys()));
    all.extend(tagged("leftovers", messaging::of_letters()));
    all.extend(tagged("leftovers", messaging::of_parts_and_bodies()));
    all.extend(tagged("knowledge", managing::of_knowledge()));
    all.extend(tagged("knowledge", managing::of_entries()));
    all.extend(tagged("classifier", managing::of_examples()));
    all.extend(tagged("supervision", managing::of_supervision()));
    all.extend(tagged("console", managing::of_the_console()));
    all.extend(tagged("health", managing::of_health()));
    all.extend(tagged("pages", managing::of_pages()));
    all
}

/// The operations of each method.
macro_rules! methods {
    ($($name:ident $method:ident),*) => {$(
        fn $name<F, Args>(
            path: &'static str,
            name: (&'static str, &'static str),
            access: Access,
            handler: F,
        ) -> Operation
        where
            F: Handler<Args>,
            Args: FromRequest + Describe + 'static,
            F::Output: Responder + Describe + 'static,
        {
            Operation::new(Method::$method, path, name, access, handler)
        }
    )*};
}

methods!(get GET, post POST, put PUT, delete DELETE);

/// What is read with GET or HEAD.
fn readable<F, Args>(
    path: &'static str,
    name: (&'static str, &'static str),
    access: Access,
    handler: F,
) -> Operation
where
    F: Handler<Args>,
    Args: FromRequest + Describe + 'static,
    F::Output: Responder + Describe + 'static,
{
    let mut operation = get(path, name, access, handler.clone());
    operation.routes.push(web::head().to(handler));
    Operation { is_headed: true, ..operation }
}

/// Registers everything that is served, path by path, in the order of the table.
pub(super) fn configure(config: &mut web::ServiceConfig, state: HttpState) {
    config.app_data(web::Data::new(state));
    let mut rest = operations().into_iter().peekable();
    while let Some(first) = rest.next() {
        let path = first.path;
        let (mut resource, mut allowed) = (web::resource(path), vec![]);
        let mut next = Some(first);
        while let Some(operation) = next {
            allowed.push(operation.method);
            if operation.is_headed {
                allowed.push(Method::HEAD);
            }
            resource = operation.routes.into_iter().fold(resource, |resource, route| resource.route(route));
            next = rest.next_if(|operation| operation.path == path);
        }
        let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        let allowed = allowed.join(", ");
        let wrong_method = move |method: Method| std::future::ready(Problem::wrong_method(&method, &allowed));
        config.service(resource.default_service(web::to(wrong_method)));
    }
    config.default_service(web::to(unknown_path));
}

async fn unknown_path(request: HttpRequest) -> Problem {
    Problem::not_found(format!("nothing is served at {}", request.path()))
}
