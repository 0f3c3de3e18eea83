//! The body of a request: read within its limits, and inflated.
//!
//! Invariant: at most `max_body` bytes of one request, in each of its two forms, are ever held, and every one of them is paid for
//! out of a budget that all requests share.

use std::sync::Arc;

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::io::AsyncReadExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::Answer;

/// Bytes that are inflated at a time.
const STEP: usize = 64 << 10;

/// Bytes that the bodies of all requests may take.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    room: Arc<Semaphore>,
    most: usize,
}

/// What a request has taken of the budget; it is given back with this.
#[derive(Debug)]
pub(crate) struct Share {
    room: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

/// How a body is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encoding {
    /// As it is.
    Identity,
    /// By gzip.
    Gzip,
}

/// A body that was read.
#[derive(Debug)]
pub(crate) struct Received {
    /// What it holds, inflated; where that cannot be done, as it came.
    pub bytes: Bytes,
    /// Whether it could be inflated.
    pub is_whole: bool,
    share: Share,
}

impl Received {
    /// Its share of the budget, to be kept for as long as its bytes are in use.
    pub(crate) fn into_parts(self) -> (Bytes, Share) {
        (self.bytes, self.share)
    }
}

impl Budget {
    /// Of so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let most = bytes.min(Semaphore::MAX_PERMITS);
        Self { room: Arc::new(Semaphore::new(most)), most }
    }

    /// A share with nothing in it yet.
    pub(crate) fn share(&self) -> Share {
        Share { room: Arc::clone(&self.room), taken: None }
    }

    /// Bytes that are taken.
    pub(crate) fn used(&self) -> usize {
        self.most.saturating_sub(self.room.available_permits())
    }
}

impl Share {
    /// Takes more, if there is more. Nobody waits: those that hold some would wait for one another.
    fn take(&mut self, bytes: usize) -> Result<(), Answer> {
        let bytes = u32::try_from(bytes).map_err(|_| Answer::TooLarge)?;
        let more = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| Answer::Away)?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

impl Encoding {
    /// As the headers say it.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Answer> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let (first, second) = (values.next(), values.next());
        let Some(value) = first else { return Ok(Self::Identity) };
        let value = value.as_bytes().trim_ascii().to_ascii_lowercase();
        match (&*value, second) {
            (b"" | b"identity", None) => Ok(Self::Identity),
            (b"gzip" | b"x-gzip", None) => Ok(Self::Gzip),
            _ => Err(Answer::UnknownEncoding),
        }
    }
}

/// Whether the headers promise more than is taken.
pub(crate) fn is_too_long(headers: &HeaderMap, most: usize) -> bool {
    let length =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > most as u64)
}

/// Reads a body of `most` bytes at most to its end. `None` where the sender went away before that, so that there is nobody to
/// answer and nothing was promised.
pub(crate) async fn read(
    body: Body,
    encoding: Encoding,
    most: usize,
    mut share: Share,
) -> Result<Option<Received>, Answer> {
    let mut stream = body.into_data_stream();
    let mut came = Vec::new();
    while let Some(chunk) = stream.next().await {
        let Ok(chunk) = chunk else { return Ok(None) };
        if came.len() + chunk.len() > most {
            return Err(Answer::TooLarge);
        }
        share.take(chunk.len())?;
        came.extend_from_slice(&chunk);
    }
    let came = Bytes::from(came);
    if encoding == Encoding::Identity {
        return Ok(Some(Received { bytes: came, is_whole: true, share }));
    }
    let inflated = inflate(&came, most, &mut share).await?;
    let is_whole = inflated.is_some();
    Ok(Some(Received { bytes: inflated.map_or(came, Bytes::from), is_whole, share }))
}

/// What gzip holds; `None` where it is none, or torn.
async fn inflate(came: &[u8], most: usize, share: &mut Share) -> Result<Option<Vec<u8>>, Answer> {
    let mut decoder = GzipDecoder::new(came);
    decoder.multiple_members(true);
    let mut inflated = Vec::new();
    loop {
        let before = inflated.len();
        // One byte more than is taken tells that there is more.
        let step = STEP.min(most - before + 1);
        share.take(step)?;
        match (&mut decoder).take(step as u64).read_to_end(&mut inflated).await {
            Err(_) => return Ok(None),
            Ok(_) if inflated.len() > most => return Err(Answer::TooLarge),
            Ok(0) => return Ok(Some(inflated)),
            Ok(_) => {}
        }
        // A large body must not keep others from this thread.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn read_all(
        body: Vec<u8>,
        encoding: Encoding,
        most: usize,
        budget: &Budget,
    ) -> Result<(Bytes, bool), Answer> {
        let received = read(Body::from(body), encoding, most, budget.share()).await?.unwrap();
        let is_whole = received.is_whole;
        Ok((received.into_parts().0, is_whole))
    }

    #[tokio::test]
    async fn both_forms_of_a_body_have_their_limit() {
        let budget = Budget::new(1 << 20);
        let text = b"[1]".repeat(100);
        let read = |body: &[u8], encoding, most| read_all(body.to_vec(), encoding, most, &budget);
        assert_eq!(read(&text, Encoding::Identity, 300).await, Ok((text.clone().into(), true)));
        assert_eq!(read(&text, Encoding::Identity, 299).await, Err(Answer::TooLarge));
        let packed = gzip(&text);
        assert_eq!(read(&packed, Encoding::Gzip, 300).await, Ok((text.clone().into(), true)));
        assert_eq!(read(&packed, Encoding::Gzip, 299).await, Err(Answer::TooLarge));
        let two = [packed.clone(), packed.clone()].concat();
        assert_eq!(read(&two, Encoding::Gzip, 600).await, Ok((text.repeat(2).into(), true)), "two members");
        for torn in [&packed[..packed.len() - 1], &packed[..5], b"", b"no gzip"] {
            assert_eq!(read(torn, Encoding::Gzip, 300).await, Ok((torn.to_vec().into(), false)), "{torn:?}");
        }
        assert_eq!(budget.used(), 0, "all of it is given back");
    }

    #[tokio::test]
    async fn a_bomb_takes_no_more_than_its_limit() {
        let bomb = gzip(&vec![b' '; 100 << 20]);
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());
        let budget = Budget::new(4 << 20);
        assert_eq!(read_all(bomb.clone(), Encoding::Gzip, 2 << 20, &budget).await, Err(Answer::TooLarge));
        assert_eq!(
            read_all(bomb, Encoding::Gzip, 50 << 20, &budget).await,
            Err(Answer::Away),
            "the budget is spent"
        );
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn bodies_share_a_budget_and_nobody_waits_for_it() {
        let budget = Budget::new(10);
        let first =
            read(Body::from("12345678"), Encoding::Identity, 100, budget.share()).await.unwrap().unwrap();
        assert_eq!(budget.used(), 8);
        assert_eq!(read_all(b"123".to_vec(), Encoding::Identity, 100, &budget).await, Err(Answer::Away));
        let (bytes, share) = first.into_parts();
        drop(bytes);
        assert_eq!(budget.used(), 8, "the share is still there");
        drop(share);
        assert_eq!(
            read_all(b"123".to_vec(), Encoding::Identity, 100, &budget).await,
            Ok(("123".into(), true))
        );
    }

    #[test]
    fn encodings_are_those_that_are_known() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, value.parse().unwrap());
            }
            Encoding::of(&headers)
        };
        assert_eq!(of(&[]), Ok(Encoding::Identity));
        assert_eq!(of(&["identity"]), Ok(Encoding::Identity));
        assert_eq!(of(&["GZip"]), Ok(Encoding::Gzip));
        for unknown in [&["br"][..], &["gzip, gzip"], &["gzip", "gzip"], &["deflate"]] {
            assert_eq!(of(unknown), Err(Answer::UnknownEncoding), "{unknown:?}");
        }
    }
}
