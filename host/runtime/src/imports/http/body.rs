//! A response's body that ends with an error when it is too large or too slow.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

/// The body.
pub(super) struct Bounded {
    inner: WasiBody,
    bytes_max: u64,
    left: u64,
    between: Duration,
    timer: Pin<Box<tokio::time::Sleep>>,
}

impl Bounded {
    /// At most `bytes_max` bytes, each piece at most `between` after the one before.
    pub(super) fn new(inner: WasiBody, bytes_max: u64, between: Duration) -> Self {
        let timer = Box::pin(tokio::time::sleep(between));
        Self { inner, bytes_max, left: bytes_max, between, timer }
    }

    fn account(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Error> {
        self.timer.as_mut().reset(tokio::time::Instant::now() + self.between);
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(frame)
            }
            None => Err(Error::HttpResponseBodySize(Some(self.bytes_max))),
        }
    }
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(self.account(frame))),
            Poll::Ready(other) => Poll::Ready(other),
            Poll::Pending => {
                std::task::ready!(self.timer.as_mut().poll(context));
                Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Empty, Full, StreamBody};

    use super::*;

    fn whole(bytes: &'static [u8]) -> WasiBody {
        Full::new(Bytes::from_static(bytes)).map_err(|never| match never {}).boxed_unsync()
    }

    #[tokio::test]
    async fn a_body_within_the_bound_passes() {
        let body = Bounded::new(whole(b"12345"), 5, Duration::from_secs(60));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "12345");
        let empty = Empty::new().map_err(|never| match never {}).boxed_unsync();
        assert!(Bounded::new(empty, 0, Duration::ZERO).collect().await.is_ok());
    }

    #[tokio::test]
    async fn a_body_above_the_bound_ends_with_an_error() {
        let body = Bounded::new(whole(b"123456"), 5, Duration::from_secs(60));
        let error = body.collect().await.unwrap_err();
        assert!(matches!(error, Error::HttpResponseBodySize(Some(5))));
    }

    #[tokio::test]
    async fn a_body_that_stands_still_ends_with_an_error() {
        let silent = StreamBody::new(futures::stream::pending::<Result<Frame<Bytes>, Error>>());
        let body = Bounded::new(silent.boxed_unsync(), 5, Duration::ZERO);
        assert!(matches!(body.collect().await, Err(Error::ConnectionReadTimeout)));
    }
}
