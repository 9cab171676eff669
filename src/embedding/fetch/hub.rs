//! Models of the Hugging Face hub, or of anything that answers as it does.

use std::path::Path;
use std::time::Duration;

use indicatif::ProgressBar;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, Response, Url};

use super::manifest::is_sha256;
use super::sink::{Room, Sink};
use super::{FetchError, Manifest, REQUIRED, files};
use crate::secret::Secret;

/// The address of the hub, unless somebody says another one.
pub const HUB: &str = "https://huggingface.co";

/// The commit that a response is of (`huggingface_hub`, `HUGGINGFACE_HEADER_X_REPO_COMMIT`).
const COMMIT: &str = "x-repo-commit";

/// The hash of a large file, on the hub's own response, which then sends us to where the file is: its SHA-256, in quotes
/// (`huggingface_hub`, `HUGGINGFACE_HEADER_X_LINKED_ETAG`). For small files it may be a hash of Git.
const LINKED_ETAG: &str = "x-linked-etag";

/// How often we let ourselves be sent elsewhere; a browser goes up to 20 times, the hub sends us once or twice.
const REDIRECTS_MAX: usize = 5;

/// A connection that is not made after this long is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// When nothing came for this long, nothing more is waited for. A whole file has no limit of time.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A hub, and who we are there.
pub(super) struct Hub {
    base: Url,
    token: Secret,
    client: Client,
}

/// The beginning of a file.
struct Found {
    response: Response,
    /// What the hub itself said of it, before it sent us elsewhere.
    commit: Option<String>,
    sha256: Option<String>,
}

impl Hub {
    /// The hub at an address. The token goes to that address only.
    pub(super) fn new(given: &str, token: Secret) -> Result<Self, FetchError> {
        let wrong = || FetchError::Hub { given: without_query(given) };
        let base = Url::parse(given.trim_end_matches('/')).map_err(|_| wrong())?;
        if !is_allowed(&base, &base) || base.query().is_some() || base.fragment().is_some() {
            return Err(wrong());
        }
        // Fails only where a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Redirects are followed here: what the hub says of a file stands on the response that sends us elsewhere.
        let builder = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("tertulia/", env!("CARGO_PKG_VERSION")));
        let builder = if is_loopback(&base) { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(|error| connection(&error, &base, REQUIRED[0]))?;
        Ok(Self { base, token, client })
    }

    /// Fetches the files of a repository into `folder`. All are of one commit, that of the first one.
    pub(super) async fn fetch(
        &self,
        repository: &str,
        revision: &str,
        folder: &Path,
        bar: &ProgressBar,
    ) -> Result<Manifest, FetchError> {
        let mut commit = None;
        let mut room = Room::new();
        let mut fetched = vec![];
        for file in files() {
            let at = commit.as_deref().unwrap_or(revision);
            let Some(found) = self.find(repository, at, file).await? else {
                if REQUIRED.contains(&file) {
                    return Err(FetchError::Missing { origin: format!("{repository} at {at}"), file });
                }
                continue;
            };
            commit = commit.or_else(|| found.commit.clone());
            let hash = self.save(found, file, folder, &mut room, bar).await?;
            fetched.push((file.to_owned(), hash));
        }
        let (revision, asked) = match commit {
            Some(commit) if commit != revision => (commit, Some(revision.to_owned())),
            _ => (revision.to_owned(), None),
        };
        Ok(Manifest { origin: repository.to_owned(), revision, asked, files: fetched })
    }

    /// Asks for a file, and goes where the hub sends us; nothing where the repository has no such file.
    async fn find(
        &self,
        repository: &str,
        revision: &str,
        file: &'static str,
    ) -> Result<Option<Found>, FetchError> {
        let mut url = self.url(repository, revision, file)?;
        let (mut commit, mut sha256) = (None, None);
        for _ in 0..=REDIRECTS_MAX {
            let response = self.ask(&url, file).await?;
            if url.origin() == self.base.origin() {
                commit = commit.or_else(|| commit_of(response.headers()));
                sha256 = sha256.or_else(|| sha256_of(response.headers()));
            }
            let status = response.status();
            if status.is_success() {
                return Ok(Some(Found { response, commit, sha256 }));
            } else if status.as_u16() == 404 {
                return Ok(None);
            } else if !status.is_redirection() {
                return Err(refused(&url, status.as_u16(), file));
            }
            url = target(&url, response.headers()).ok_or_else(|| refused(&url, status.as_u16(), file))?;
            if !is_allowed(&url, &self.base) {
                return Err(FetchError::Insecure { host: host(&url) });
            }
        }
        Err(FetchError::Connection { host: host(&self.base), what: "sent us around too often", file })
    }

    fn url(&self, repository: &str, revision: &str, file: &str) -> Result<Url, FetchError> {
        // A slash in a revision is part of its name.
        let revision = revision.replace('/', "%2F");
        let url =
            format!("{}/{repository}/resolve/{revision}/{file}", self.base.as_str().trim_end_matches('/'));
        Url::parse(&url).map_err(|_| FetchError::Hub { given: host(&self.base) })
    }

    async fn ask(&self, url: &Url, file: &'static str) -> Result<Response, FetchError> {
        let mut call = self.client.get(url.clone());
        let token = self.token.expose();
        if !token.is_empty() && url.origin() == self.base.origin() {
            call = call.bearer_auth(token);
        }
        let answer = tokio::time::timeout(SILENCE_MAX, call.send()).await.map_err(|_| silent(url, file))?;
        answer.map_err(|error| connection(&error, url, file))
    }

    /// Saves a file that was found, and checks it; answers its SHA-256.
    async fn save(
        &self,
        found: Found,
        file: &'static str,
        folder: &Path,
        room: &mut Room,
        bar: &ProgressBar,
    ) -> Result<String, FetchError> {
        let Found { mut response, sha256, .. } = found;
        let url = response.url().clone();
        let length = response.content_length();
        room.check(length.unwrap_or_default())?;
        bar.set_message(file);
        bar.set_position(0);
        bar.set_length(length.unwrap_or_default());
        let mut sink = Sink::create(folder, file)?;
        loop {
            let piece =
                tokio::time::timeout(SILENCE_MAX, response.chunk()).await.map_err(|_| silent(&url, file))?;
            let Some(piece) = piece.map_err(|error| connection(&error, &url, file))? else { break };
            room.take(piece.len() as u64)?;
            sink.write(&piece)?;
            bar.inc(piece.len() as u64);
        }
        let hash = sink.finish()?;
        match sha256 {
            Some(expected) if expected != hash => {
                Err(FetchError::Hash { what: file.to_owned(), expected, found: hash })
            }
            _ => Ok(hash),
        }
    }
}

/// Where a response sends us.
fn target(from: &Url, headers: &HeaderMap) -> Option<Url> {
    from.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

/// The commit that a response is of. It becomes a part of addresses, and so must not be anything else.
fn commit_of(headers: &HeaderMap) -> Option<String> {
    let commit = headers.get(COMMIT)?.to_str().ok()?;
    let is_commit = commit.len() == 40 && commit.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_commit.then(|| commit.to_ascii_lowercase())
}

/// The SHA-256 that the hub says a file has.
fn sha256_of(headers: &HeaderMap) -> Option<String> {
    let etag = headers.get(LINKED_ETAG)?.to_str().ok()?;
    let hash = etag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase();
    is_sha256(&hash).then_some(hash)
}

/// Whether we go there: to everything that is encrypted, and from this machine to itself.
fn is_allowed(url: &Url, base: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url) && is_loopback(base))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The part of an address that holds no secret.
fn host(url: &Url) -> String {
    url.host_str().unwrap_or("an address without a host").to_owned()
}

/// What was given as an address, without what may be a secret in it.
fn without_query(given: &str) -> String {
    let shown = given.split(['?', '#']).next().unwrap_or_default();
    shown.rsplit_once('@').map_or(shown, |(_, rest)| rest).to_owned()
}

fn silent(url: &Url, file: &'static str) -> FetchError {
    FetchError::Connection { host: host(url), what: "said nothing for 60 s", file }
}

fn connection(error: &reqwest::Error, url: &Url, file: &'static str) -> FetchError {
    let what = if error.is_connect() { "could not be reached" } else { "broke the connection" };
    FetchError::Connection { host: host(url), what, file }
}

fn refused(url: &Url, status: u16, file: &'static str) -> FetchError {
    let advice = match status {
        401 | 403 => {
            "there is no such model, or it wants somebody whom the hub knows: set HF_TOKEN, and accept the \
             model's terms on its page"
        }
        429 | 500.. => "it is overloaded or out of order; try again later",
        _ => "it does not answer as the hub of models does",
    };
    FetchError::Refused { host: host(url), status, file, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_encrypted_or_on_this_machine() {
        for (given, expected) in [
            ("https://huggingface.co", true),
            ("https://huggingface.co/", true),
            ("https://mirror.example/hub", true),
            ("http://127.0.0.1:8080", true),
            ("http://localhost:8080", true),
            ("http://[::1]:8080", true),
            ("http://huggingface.co", false),
            ("http://127.0.0.1.example", false),
            ("ftp://127.0.0.1", false),
            ("huggingface.co", false),
            ("mailto:a@b", false),
            ("https://huggingface.co?token=k3y", false),
            ("http://k3y@huggingface.co", false),
            ("", false),
        ] {
            let found = Hub::new(given, Secret::default());
            assert_eq!(found.is_ok(), expected, "{given}");
            if let Err(error) = found {
                assert!(error.is_usage() && !error.to_string().contains("k3y"), "{error}");
            }
        }
    }

    #[test]
    fn only_hashes_and_commits_are_taken_from_headers() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let commit = &hash[..40];
        let headers = |name: &'static str, value: &str| {
            HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
        };
        for (value, expected) in [
            (format!("\"{hash}\""), Some(hash)),
            (format!("W/\"{hash}\""), Some(hash)),
            (hash.to_owned(), Some(hash)),
            (format!("\"{commit}\""), None),
            ("\"x\"".to_owned(), None),
        ] {
            assert_eq!(sha256_of(&headers(LINKED_ETAG, &value)).as_deref(), expected, "{value}");
        }
        for (value, expected) in [(commit, Some(commit)), (hash, None), ("../../x", None)] {
            assert_eq!(commit_of(&headers(COMMIT, value)).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_revision_with_slashes_stays_one_part_of_the_address() {
        for base in ["https://mirror.example/hub", "https://mirror.example/hub/"] {
            let hub = Hub::new(base, Secret::default()).unwrap();
            let url = hub.url("a/b", "refs/pr/1", "1_Pooling/config.json").unwrap();
            let expected = "https://mirror.example/hub/a/b/resolve/refs%2Fpr%2F1/1_Pooling/config.json";
            assert_eq!(url.as_str(), expected);
        }
    }
}
