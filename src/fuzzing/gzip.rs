//! Whatever arrives as the body of a response, in whatever pieces, comes out as bytes and an end, and both depend on the bytes alone.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use futures_util::stream;

use super::{Input, block_on, pieces};
use crate::source::frame::READ_SIZE;
use crate::source::http::body::{Body, BodyError, Coding};

/// Nothing is read beyond so many bytes, of which few may be made.
const MOST: usize = 1 << 20;

/// How a body ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// There was nothing more.
    Clean,
    /// Inside a member.
    Torn,
    /// By an error of the network.
    Broken,
    /// At what is no gzip.
    Damaged,
    /// Beyond [`MOST`].
    Unread,
}

/// How what was sent came to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// The bytes as they are, which may look like gzip or not.
    Raw,
    /// They are members of gzip.
    Packed,
    /// Members of gzip, without the end.
    Cut,
}

pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let label = if input.flag() { Coding::Gzip } else { Coding::Identity };
    let (breaks, lengths) = (input.flag(), input.lengths());
    let (form, plain, sent) = sent(&mut input);
    let (found, end) = read(&pieces(&sent, &lengths), label, breaks);
    let (at_once, end_at_once) = read(&pieces(&sent, &[usize::MAX]), label, breaks);
    if end == End::Damaged {
        // Where it is found depends on the pieces: what was inflated of the piece before the damage is lost with it.
        assert!(
            found.starts_with(&at_once) || at_once.starts_with(&found),
            "the same bytes, as far as they go"
        );
    } else {
        assert_eq!(found, at_once, "the same bytes in any pieces");
    }
    assert_eq!(end, end_at_once, "the same end in any pieces");
    let ends_well = if breaks { End::Broken } else { End::Clean };
    match form {
        Form::Raw if sent.is_empty() => assert!(found.is_empty() && end != End::Damaged),
        Form::Raw if sent[0] != 0x1f => assert_eq!((&found[..], end), (&sent[..], ends_well)),
        Form::Raw => assert_as_others_inflate(&sent, &found, end),
        Form::Packed if plain.len() < MOST => assert_eq!((&found[..], end), (plain, ends_well)),
        Form::Packed | Form::Cut => {
            assert!(plain.starts_with(&found), "nothing but what was packed");
            assert_ne!(end, End::Damaged, "what is cut off is not damaged");
        }
    }
}

/// What is sent, and of what it was made.
pub(super) fn sent<'a>(input: &mut Input<'a>) -> (Form, &'a [u8], Vec<u8>) {
    let form = match input.byte() % 3 {
        0 => Form::Raw,
        1 => Form::Packed,
        _ => Form::Cut,
    };
    if form == Form::Raw {
        return (form, input.rest, input.rest.to_vec());
    }
    let (members, cut) = (input.lengths(), input.number());
    let mut sent = pieces(input.rest, &members).into_iter().map(packed).collect::<Vec<_>>().concat();
    if sent.is_empty() {
        sent = packed(&[]);
    }
    if form == Form::Cut {
        sent.truncate(usize::try_from(cut % sent.len() as u64).unwrap());
    }
    (form, input.rest, sent)
}

fn packed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that look like gzip: where another program inflates all of it, so do we.
fn assert_as_others_inflate(sent: &[u8], found: &[u8], end: End) {
    let mut other = Vec::new();
    let result = MultiGzDecoder::new(sent).take(MOST as u64).read_to_end(&mut other);
    if result.is_ok() && end == End::Clean {
        assert_eq!(found, other, "inflated as by others");
    }
}

fn read(pieces: &[&[u8]], label: Coding, breaks: bool) -> (Vec<u8>, End) {
    let chunks: Vec<io::Result<Bytes>> =
        pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).chain(broken(breaks)).collect();
    let mut body = Body::new(stream::iter(chunks), label, Duration::from_secs(3600), |_| {});
    let (mut found, mut buffer) = (Vec::new(), BytesMut::with_capacity(READ_SIZE));
    let capacity = buffer.capacity();
    let end = block_on(async {
        loop {
            match body.read(&mut buffer).await {
                Ok(0) => return End::Clean,
                Ok(count) => assert_eq!(count, buffer.len(), "as many bytes as it says"),
                Err(BodyError::Truncated) => return End::Torn,
                Err(BodyError::Damaged(_)) => return End::Damaged,
                Err(_) => return End::Broken,
            }
            assert_eq!(buffer.capacity(), capacity, "no more than there was room for");
            found.extend_from_slice(&buffer);
            buffer.clear();
            if found.len() >= MOST {
                found.truncate(MOST);
                return End::Unread;
            }
        }
    });
    (found, end)
}

fn broken(breaks: bool) -> Option<io::Result<Bytes>> {
    breaks.then(|| Err(io::ErrorKind::ConnectionReset.into()))
}
