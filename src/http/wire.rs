//! Connections that are given up when the other side takes too long.
//!
//! actix-http times the first head of a connection and its idle time. What comes between two requests of a kept connection (a
//! head that is never completed, the rest of a body that was refused) and a response that nobody reads would wait for ever.
//! The stream between the socket and actix-http times them: it sees when bytes come and go, and the requests on it tell when
//! they begin and end.

mod watch;

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::Error;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

pub(super) use watch::Patience;
use watch::{Waits, Watch};

/// What is told where a head, or the rest of a refused body, took too long. It stands between two responses.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How long the connection waits, as its stream and the requests on it know it. Both live on one thread.
#[derive(Clone)]
pub(super) struct Shared(Rc<RefCell<Watch>>);

impl Shared {
    fn tell<T>(&self, told: impl FnOnce(&mut Watch) -> T) -> T {
        told(&mut self.0.borrow_mut())
    }
}

/// A connection that is given up when the other side takes too long.
pub(super) struct TimedStream {
    io: TcpStream,
    shared: Shared,
    /// Wakes the connection when it has to be given up. One that fires early is set again, so that nothing is set while
    /// requests follow one another.
    timer: Option<Pin<Box<Sleep>>>,
    given_up: bool,
}

impl TimedStream {
    /// Times a connection that was just accepted.
    pub(super) fn new(io: TcpStream, patience: Patience) -> Self {
        let shared = Shared(Rc::new(RefCell::new(Watch::new(patience))));
        Self { io, shared, timer: None, given_up: false }
    }

    /// What the requests on it need to know.
    pub(super) fn shared(&self) -> Shared {
        self.shared.clone()
    }

    /// Whether what is waited for has not come in time. Whoever is still sending is told so.
    fn gives_up(&mut self) -> bool {
        if !self.given_up
            && let Some(waits) = self.shared.tell(|watch| watch.expired(Instant::now()))
        {
            self.given_up = true;
            if waits == Waits::Head {
                // One write finds room in the socket, or nobody reads it.
                let _ = self.io.try_write(TOO_SLOW);
            }
        }
        self.given_up
    }

    /// Sees to it that the connection is looked at again when its time is over.
    fn arm(&mut self, cx: &mut Context<'_>) {
        let Some(until) = self.shared.tell(|watch| watch.until()) else { return };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() > until {
            timer.as_mut().reset(until);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= until {
                cx.waker().wake_by_ref();
                return;
            }
            timer.as_mut().reset(until);
        }
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.gives_up() {
            // As if the other side had closed: what is written goes out, and the connection ends.
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            this.shared.tell(|watch| watch.read(Instant::now()));
        }
        read
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        if written.is_ready() {
            this.shared.tell(Watch::wrote);
            return written;
        }
        let now = Instant::now();
        if this.shared.tell(|watch| watch.blocked(now)) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads the response")));
        }
        this.arm(cx);
        Poll::Pending
    }

    /// The last that is asked of a connection before it waits; so it is here that the timer is set.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.arm(cx);
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

/// A request that is being served, from its complete head to the end of its response.
struct Served(Shared);

impl Served {
    fn begin(shared: &Shared) -> Self {
        shared.tell(Watch::begun);
        Self(shared.clone())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let now = Instant::now();
        self.0.tell(|watch| watch.ended(now));
    }
}

pin_project! {
    /// A response's body, with which the request ends.
    struct Lasting<B> {
        #[pin]
        body: B,
        served: Option<Served>,
    }
}

impl<B: MessageBody> MessageBody for Lasting<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(cx)
    }
}

/// Tells the connection when a request on it begins and ends.
pub(super) async fn serve(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let served = request.conn_data::<Shared>().map(Served::begin);
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| Lasting { body, served }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A timed connection with this much patience for silence, and its other end.
    async fn pair(idle: Duration) -> (TimedStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (other, accepted) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let long = Duration::from_secs(3_600);
        let stream = TimedStream::new(accepted.unwrap().0, Patience { head: long, idle, write: long });
        (stream, other.unwrap())
    }

    #[actix_web::test]
    async fn a_connection_on_which_nothing_comes_after_a_response_is_given_up_without_a_word() {
        let (mut stream, mut other) = pair(Duration::from_millis(50)).await;
        let served = Served::begin(&stream.shared());
        stream.write_all(b"response").await.unwrap();
        drop(served);
        stream.flush().await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(20), stream.read_u8()).await.unwrap();
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        drop(stream);
        let mut said = String::new();
        other.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "response");
    }

    #[actix_web::test]
    async fn a_connection_is_never_given_up_while_a_request_on_it_is_served() {
        let (mut stream, mut other) = pair(Duration::ZERO).await;
        let first = Served::begin(&stream.shared());
        let second = Served::begin(&stream.shared());
        drop(first);
        stream.flush().await.unwrap();
        other.write_all(b"x").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        drop(second);
        stream.flush().await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(20), stream.read_u8()).await.unwrap();
        assert!(end.is_err(), "once both have ended it is");
    }
}
