//! Connections: a limit on how many there are, and an end for those that say nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};

/// Connections at a time. More wait in the operating system's queue.
const AT_ONCE: usize = 1024;
/// A connection on which nothing has come for so long is closed. One request's head may take as long, from its first byte to its
/// last: whoever sends it byte by byte keeps no place.
const SILENCE: Duration = Duration::from_secs(30);

/// A TCP listener with these limits.
#[derive(Debug)]
pub struct Doorway {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence: Duration,
}

impl Doorway {
    /// Listens at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, places: Arc::new(Semaphore::new(AT_ONCE)), silence: SILENCE })
    }

    /// Closes silent connections after `silence` instead.
    #[must_use]
    pub const fn closing_after(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// The address in use.
    ///
    /// # Errors
    /// If the operating system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Listener for Doorway {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                // The semaphore is never closed.
                return std::future::pending().await;
            };
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    let _ = stream.set_nodelay(true);
                    let quiet = Box::pin(sleep_until(Instant::now() + self.silence));
                    let head = Head::default();
                    return (Connection { stream, quiet, silence: self.silence, head, _place: place }, address);
                }
                // Out of file descriptors, or the caller went away: neither ends the service.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The address that a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, Doorway>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Doorway>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A connection that ends when nothing comes, or no whole head of a request.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    quiet: Pin<Box<Sleep>>,
    silence: Duration,
    head: Head,
    _place: OwnedSemaphorePermit,
}

/// How far the head of the next request has come. What comes after it is its body, until something is answered.
#[derive(Debug, Default)]
struct Head {
    began: Option<Instant>,
    /// How much of the empty line at its end has come.
    ended: usize,
    whole: bool,
}

impl Head {
    const END: &[u8] = b"\r\n\r\n";

    fn came(&mut self, bytes: &[u8], now: Instant) {
        if self.whole || bytes.is_empty() {
            return;
        }
        self.began.get_or_insert(now);
        for byte in bytes {
            self.ended = if *byte == Self::END[self.ended] { self.ended + 1 } else { usize::from(*byte == b'\r') };
            if self.ended == Self::END.len() {
                *self = Self { whole: true, ..Self::default() };
                return;
            }
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // A deadline that has passed counts even if bytes keep coming.
        if self.head.began.is_some() && self.quiet.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            let now = Instant::now();
            self.head.came(&buf.filled()[before..], now);
            let next = self.head.began.unwrap_or(now) + self.silence;
            self.quiet.as_mut().reset(next);
            return Poll::Ready(result);
        }
        match self.quiet.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.head = Head::default();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.head = Head::default();
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(pieces: &[&[u8]]) -> bool {
        let mut head = Head::default();
        for piece in pieces {
            head.came(piece, Instant::now());
        }
        head.whole
    }

    #[test]
    fn a_head_ends_with_an_empty_line_however_it_comes() {
        assert!(whole(&[b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]));
        assert!(whole(&[b"GET / HTTP/1.1\r", b"\n\r", b"\n"]));
        assert!(whole(&[b"a\r\r\n\r\n"]), "a stray return begins anew");
        assert!(!whole(&[b"GET / HTTP/1.1\r\nHost: x\r\n"]));
        assert!(!whole(&[b"a\r\nb\r\nc\n\n"]));
        assert!(!whole(&[b""]));
    }

    proptest::proptest! {
        #[test]
        fn it_is_found_where_it_is(text in "[ab\r\n]{0,40}", cut in 0..40_usize) {
            let cut = cut.min(text.len());
            let expected = text.contains("\r\n\r\n");
            proptest::prop_assert_eq!(whole(&[&text.as_bytes()[..cut], &text.as_bytes()[cut..]]), expected);
        }
    }
}
