//! Gzip under any cut, in one or many members, against a reference decoder.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

const SILENCE: Duration = Duration::from_secs(90);

/// Everything that comes out, and how it ended.
async fn read_all(chunks: Vec<Result<Bytes, io::Error>>) -> (Vec<u8>, Result<(), BodyError>) {
    read_labelled(chunks, Coding::Identity).await
}

async fn read_labelled(
    chunks: Vec<Result<Bytes, io::Error>>,
    label: Coding,
) -> (Vec<u8>, Result<(), BodyError>) {
    let mut body = Body::new(stream::iter(chunks), label, SILENCE, |_| {});
    let mut out = BytesMut::new();
    loop {
        out.reserve(64);
        match body.read(&mut out).await {
            Ok(0) => return (out.to_vec(), Ok(())),
            Ok(_) => {}
            Err(error) => return (out.to_vec(), Err(error)),
        }
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

/// Gzip members, each flushed after every part.
fn gzip(members: &[Vec<Vec<u8>>]) -> Vec<u8> {
    members
        .iter()
        .flat_map(|parts| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            for part in parts {
                encoder.write_all(part).unwrap();
                encoder.flush().unwrap();
            }
            encoder.finish().unwrap()
        })
        .collect()
}

/// What a plain reader gets out of a cut stream.
fn inflate_as_far_as_possible(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
    let mut out = Vec::new();
    let mut byte = [0];
    while let Ok(1) = decoder.read(&mut byte) {
        out.push(byte[0]);
    }
    out
}

#[test]
fn many_members_are_one_body() {
    let bytes = gzip(&[vec![b"one\n".to_vec()], vec![], vec![b"two\n".to_vec(), b"three\n".to_vec()]]);
    let (out, end) = run(read_all(vec![Ok(bytes.into())]));
    assert_eq!(out, b"one\ntwo\nthree\n");
    end.unwrap();
}

#[test]
fn a_flushed_part_comes_out_before_more_arrives() {
    run(async {
        let bytes = gzip(&[vec![b"event\n".to_vec(), b"later\n".to_vec()]]);
        let flushed = gzip(&[vec![b"event\n".to_vec()]]);
        // Without the trailer and the empty last block, the first part's bytes are a prefix of both.
        let common = bytes.iter().zip(&flushed).take_while(|(a, b)| a == b).count();
        let first: Bytes = bytes[..common].to_vec().into();
        let chunks = stream::iter([Ok::<_, io::Error>(first)]).chain(stream::pending());
        let mut body = Body::new(chunks, Coding::Gzip, SILENCE, |_| {});
        let mut out = BytesMut::with_capacity(100);
        assert_eq!(body.read(&mut out).await.unwrap(), 6);
        assert_eq!(&out[..], b"event\n");
        assert!(matches!(body.read(&mut out).await, Err(BodyError::Silent(SILENCE))));
    });
}

#[test]
fn the_networks_error_comes_after_all_bytes() {
    let bytes = gzip(&[vec![b"event\n".to_vec(), b"later\n".to_vec()]]);
    let cut = bytes.len() - 12;
    let chunks = vec![Ok(bytes[..cut].to_vec().into()), Err(io::ErrorKind::ConnectionReset.into())];
    let (out, end) = run(read_all(chunks));
    assert_eq!(out, b"event\nlater\n");
    assert!(matches!(end, Err(BodyError::Broken(_))));
}

#[test]
fn the_first_byte_tells_what_is_gzip() {
    let plain = vec![Ok(Bytes::new()), Ok("{".into()), Ok("\"a\":1}\n".into())];
    let (out, end) = run(read_all(plain));
    assert_eq!(out, b"{\"a\":1}\n");
    end.unwrap();
    let bytes = gzip(&[vec![b"one\n".to_vec()]]);
    let (out, _) = run(read_all(bytes.chunks(1).map(|byte| Ok(Bytes::copy_from_slice(byte))).collect()));
    assert_eq!(out, b"one\n", "byte by byte too");
    run(async {
        let mut body =
            Body::new(stream::iter([Ok::<_, io::Error>(bytes.into())]), Coding::Identity, SILENCE, |_| {});
        assert!(!body.is_compressed());
        body.read(&mut BytesMut::with_capacity(100)).await.unwrap();
        assert!(body.is_compressed());
    });
}

#[test]
fn nothing_at_all_is_a_whole_body_only_without_a_label() {
    for empty in [vec![], vec![Ok(Bytes::new())]] {
        let (out, end) = run(read_labelled(empty, Coding::Gzip));
        assert!(out.is_empty() && matches!(end, Err(BodyError::Truncated)), "{end:?}");
    }
    run(read_labelled(vec![], Coding::Identity)).1.unwrap();
    let (out, end) = run(read_labelled(vec![Ok("{}\n".into())], Coding::Gzip));
    assert_eq!(out, b"{}\n", "plain text, whatever it is labelled");
    end.unwrap();
}

#[test]
fn damaged_gzip_is_said_so() {
    let (out, end) = run(read_all(vec![Ok(Bytes::from_static(b"\x1f\x8b\xff\xff no gzip at all"))]));
    assert!(out.is_empty());
    assert!(matches!(end, Err(BodyError::Damaged(_))), "{end:?}");
}

#[test]
fn silence_counts_from_the_beginning() {
    let (out, end) = run(async {
        let mut body =
            Body::new(stream::pending::<Result<Bytes, io::Error>>(), Coding::Gzip, SILENCE, |_| {});
        let mut out = BytesMut::with_capacity(10);
        let end = body.read(&mut out).await;
        (out, end)
    });
    assert!(out.is_empty() && matches!(end, Err(BodyError::Silent(SILENCE))));
}

#[test]
fn codings() {
    assert_eq!(Coding::from_header(None), Some(Coding::Identity));
    assert_eq!(Coding::from_header(Some("GZIP")), Some(Coding::Gzip));
    assert_eq!(Coding::from_header(Some("br")), None);
}

proptest! {
    #[test]
    fn any_cut_gives_all_that_can_be_inflated(
        members in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4), 1..4),
        keep in 0.0..=1.0f64,
        chunk in 1usize..50,
    ) {
        let bytes = gzip(&members);
        let whole = members.concat().concat();
        let cut = (bytes.len() as f64 * keep) as usize;
        let chunks = bytes[..cut].chunks(chunk).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        let (out, end) = run(read_all(chunks));
        prop_assert!(whole.starts_with(&out));
        let possible = inflate_as_far_as_possible(&bytes[..cut]);
        prop_assert!(out.len() >= possible.len(), "{} of {}", out.len(), possible.len());
        if cut == bytes.len() {
            prop_assert_eq!(out, whole);
            prop_assert!(end.is_ok());
        }
    }

    #[test]
    fn identity_is_passed_on(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        prop_assume!(parts.concat().first() != Some(&GZIP_MAGIC));
        let chunks = parts.iter().map(|part| Ok(Bytes::copy_from_slice(part))).collect();
        let (out, end) = run(read_all(chunks));
        prop_assert_eq!(out, parts.concat());
        prop_assert!(end.is_ok());
    }
}
