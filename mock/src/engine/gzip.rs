//! gzip as a long-lived stream writes it: members of sync-flushed deflate, into which segments that were
//! compressed beforehand can be put.
//!
//! Invariant: after every call the output so far can be decompressed to exactly the input so far. A segment is
//! compressed with an empty window, so it may stand anywhere; after one the own window is emptied for the same reason.

use std::io;

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};

/// A member's fixed header: deflate, no name, no time, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// Least room given to the compressor at a time, in bytes.
const ROOM: usize = 4096;

/// Text compressed beforehand.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) deflated: Bytes,
    crc: Crc,
}

/// Writes members, one at a time.
#[derive(Debug)]
pub(crate) struct GzipWriter {
    deflate: Compress,
    /// Of the member that is open.
    crc: Option<Crc>,
    /// Whether `deflate` remembers text, to which it could refer back.
    has_window: bool,
}

impl Segment {
    pub(crate) fn compress(plain: &[u8]) -> io::Result<Self> {
        let mut deflated = Vec::with_capacity(plain.len() / 3);
        push(&mut new_deflate(), plain, FlushCompress::Sync, &mut deflated)?;
        deflated.shrink_to_fit();
        let mut crc = Crc::new();
        crc.update(plain);
        Ok(Self { deflated: Bytes::from(deflated), crc })
    }
}

impl GzipWriter {
    pub(crate) fn new() -> Self {
        Self { deflate: new_deflate(), crc: None, has_window: false }
    }

    /// Compresses `plain` so that all of it can be read at once, opening a member if none is open.
    pub(crate) fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.open(out).update(plain);
        self.has_window = true;
        push(&mut self.deflate, plain, FlushCompress::Sync, out)
    }

    /// Counts in `segment`, whose bytes the caller sends after `out`.
    pub(crate) fn append(&mut self, segment: &Segment, out: &mut Vec<u8>) {
        if self.has_window {
            self.deflate.reset();
            self.has_window = false;
        }
        self.open(out).combine(&segment.crc);
    }

    /// Ends the open member with its trailer; without one, writes an empty member.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.open(out);
        push(&mut self.deflate, &[], FlushCompress::Finish, out)?;
        self.deflate.reset();
        self.has_window = false;
        if let Some(crc) = self.crc.take() {
            out.extend_from_slice(&crc.sum().to_le_bytes());
            out.extend_from_slice(&crc.amount().to_le_bytes());
        }
        Ok(())
    }

    fn open(&mut self, out: &mut Vec<u8>) -> &mut Crc {
        self.crc.get_or_insert_with(|| {
            out.extend_from_slice(&HEADER);
            Crc::new()
        })
    }
}

fn new_deflate() -> Compress {
    // Level 1: the mock is to be cheaper than its reader. `false`: no zlib header.
    Compress::new(Compression::fast(), false)
}

fn push(deflate: &mut Compress, plain: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> io::Result<()> {
    let mut rest = plain;
    loop {
        out.reserve(ROOM.max(rest.len() / 3));
        let before = deflate.total_in();
        deflate.compress_vec(rest, out, flush).map_err(io::Error::other)?;
        rest = &rest[(deflate.total_in() - before) as usize..];
        // Room that is left over says that the flush is complete.
        if rest.is_empty() && out.len() < out.capacity() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::MultiGzDecoder;
    use std::io::Read;

    fn inflate(compressed: &[u8]) -> String {
        let mut text = String::new();
        MultiGzDecoder::new(compressed).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn writes_segments_and_members_mix() {
        let segment = Segment::compress("prepared prepared\n".as_bytes()).unwrap();
        let mut writer = GzipWriter::new();
        let mut out = Vec::new();
        for _ in 0..2 {
            writer.write(b"live prepared\n", &mut out).unwrap();
            for _ in 0..2 {
                writer.append(&segment, &mut out);
                out.extend_from_slice(&segment.deflated);
            }
            writer.write(b"live prepared\n", &mut out).unwrap();
            writer.write(b"live prepared\n", &mut out).unwrap();
            writer.finish(&mut out).unwrap();
        }
        let one = "live prepared\nprepared prepared\nprepared prepared\nlive prepared\nlive prepared\n";
        assert_eq!(inflate(&out), one.repeat(2));
    }

    #[test]
    fn every_write_can_be_read_at_once() {
        let mut writer = GzipWriter::new();
        let mut out = Vec::new();
        let mut expected = String::new();
        for number in 0..200 {
            let line = format!("{number} ").repeat(number);
            writer.write(line.as_bytes(), &mut out).unwrap();
            expected.push_str(&line);
            let mut text = vec![0; expected.len()];
            MultiGzDecoder::new(&out[..]).read_exact(&mut text).unwrap();
            assert_eq!(text, expected.as_bytes());
        }
    }

    #[test]
    fn nothing_is_still_a_member() {
        let mut out = Vec::new();
        GzipWriter::new().finish(&mut out).unwrap();
        assert_eq!(inflate(&out), "");
    }
}
