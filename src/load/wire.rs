//! A lean HTTP client for webhooks: keep-alive connections, as few system calls as can be, so that a run measures the
//! server and not its generator.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Why a request has no answer.
#[derive(Debug, Error)]
pub enum WireError {
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server closed the connection instead of answering.
    #[error("the server closed the connection")]
    Closed,
    /// No answer came in time.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// What came is no HTTP.
    #[error("not an HTTP/1.1 answer: {0}")]
    Malformed(&'static str),
}

/// Where webhooks go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// The address.
    pub address: SocketAddr,
    /// The `Host` header.
    pub host: String,
    /// The path.
    pub path: String,
}

/// Connections to one endpoint. Lives on one thread.
pub struct Wire {
    endpoint: Endpoint,
    patience: Duration,
    idle: RefCell<Vec<Connection>>,
    permits: Semaphore,
}

struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
    /// Whether it has answered before, so that it may have been closed since.
    is_used: bool,
}

/// The head of an answer.
#[derive(PartialEq, Eq, Debug)]
struct Head {
    status: u16,
    /// Bytes of the head itself.
    length: usize,
    /// Bytes of the body; none where only the end of the connection tells.
    body: Option<usize>,
    closes: bool,
}

/// Most headers of an answer.
const HEADERS_MAX: usize = 64;

impl Wire {
    /// At most `connections_max` connections at a time; an answer may take `patience`.
    #[must_use]
    pub const fn new(endpoint: Endpoint, connections_max: usize, patience: Duration) -> Self {
        Self {
            endpoint,
            patience,
            idle: RefCell::new(Vec::new()),
            permits: Semaphore::const_new(connections_max),
        }
    }

    /// Whether a request that came now would have to wait for a connection.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.permits.available_permits() == 0
    }

    /// Posts a body with its signature, and gives the status of the answer.
    ///
    /// # Errors
    /// When there is no answer; the request may have been received all the same.
    pub async fn post(&self, signature: &str, body: &[u8]) -> Result<u16, WireError> {
        let permit = self.permits.acquire().await.map_err(|_| WireError::Closed)?;
        let outcome = match timeout(self.patience, self.exchange(signature, body)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(WireError::TimedOut(self.patience)),
        };
        drop(permit);
        outcome
    }

    async fn exchange(&self, signature: &str, body: &[u8]) -> Result<u16, WireError> {
        let request = self.request(signature, body);
        loop {
            let idle = self.idle.borrow_mut().pop();
            let mut connection = match idle {
                Some(connection) => connection,
                None => Connection::open(self.endpoint.address).await?,
            };
            match connection.exchange(&request).await {
                // Closed while it was idle: nobody read the request.
                Err(_) if connection.is_used && connection.answer.is_empty() => {}
                Err(error) => return Err(error),
                Ok(head) => {
                    if !head.closes && head.body.is_some() {
                        connection.is_used = true;
                        self.idle.borrow_mut().push(connection);
                    }
                    return Ok(head.status);
                }
            }
        }
    }

    fn request(&self, signature: &str, body: &[u8]) -> Vec<u8> {
        let Endpoint { host, path, .. } = &self.endpoint;
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             x-hub-signature-256: {signature}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        request
    }
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, WireError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(1_024), is_used: false })
    }

    /// Writes a request and reads its answer.
    async fn exchange(&mut self, request: &[u8]) -> Result<Head, WireError> {
        self.answer.clear();
        self.stream.write_all(request).await?;
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(WireError::Closed);
            }
            let Some(head) = head(&self.answer)? else { continue };
            if head.body.is_none_or(|body| self.answer.len() >= head.length + body) {
                return Ok(head);
            }
        }
    }
}

/// The head of an answer, once all of it is there.
fn head(bytes: &[u8]) -> Result<Option<Head>, WireError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut answer = httparse::Response::new(&mut headers);
    let parsed = answer.parse(bytes).map_err(|_| WireError::Malformed("its head cannot be read"))?;
    let httparse::Status::Complete(length) = parsed else { return Ok(None) };
    let value = |name: &str| {
        let found = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    Ok(Some(Head {
        status: answer.code.unwrap_or_default(),
        length,
        body: value("content-length").and_then(|length| length.parse().ok()),
        closes: value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn heads_are_read_in_whichever_pieces_they_come() {
        let head_of = |bytes: &str| head(bytes.as_bytes()).unwrap();
        assert_eq!(head_of("HTTP/1.1 200 OK\r\nContent-Le"), None);
        for (bytes, body, closes) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", Some(7), false),
            ("HTTP/1.1 200 OK\r\ncontent-length:0\r\nConnection: Close\r\n\r\n", Some(0), true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", None, false),
        ] {
            let expected = Head { status: 200, length: bytes.len(), body, closes };
            assert_eq!(head_of(bytes), Some(expected), "{bytes}");
        }
        assert!(head(b"SSH-2.0-x\r\n\r\n").is_err());
    }

    async fn serve(listener: TcpListener, answers: &'static [&'static str]) {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = vec![];
            while !read.ends_with(b"{}") {
                assert!(stream.read_buf(&mut read).await.unwrap() > 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_while_idle_is_replaced_and_one_that_never_answered_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint { address, host: address.to_string(), path: "/w".into() };
        let wire = Wire::new(endpoint, 1, Duration::from_secs(5));
        let good = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let server = tokio::spawn(serve(listener, &["HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n", "", ""]));
        assert_eq!(wire.post("s", b"{}").await.unwrap(), 503);
        // The server has gone on to the next connection, and closed this one.
        assert!(matches!(wire.post("s", b"{}").await, Err(WireError::Closed | WireError::Io(_))));
        assert!(matches!(wire.post("s", b"{}").await, Err(WireError::Closed | WireError::Io(_))));
        server.await.unwrap();
        assert!(matches!(wire.post("s", b"{}").await, Err(WireError::Io(_))), "nobody listens");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint { address, host: address.to_string(), path: "/w".into() };
        let wire = Wire::new(endpoint, 1, Duration::from_millis(100));
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = vec![];
            while stream.read_buf(&mut read).await.unwrap() > 0 {
                stream.write_all(if read.ends_with(b"{}") { good.as_bytes() } else { b"" }).await.unwrap();
                read.clear();
            }
        });
        assert_eq!(wire.post("s", b"{}").await.unwrap(), 200);
        assert_eq!(wire.post("s", b"{}").await.unwrap(), 200, "the same connection");
        let silent = wire.post("s", b"no end").await;
        assert!(matches!(silent, Err(WireError::TimedOut(_))), "{silent:?}");
    }
}
