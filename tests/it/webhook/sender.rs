//! A sender of webhooks over a plain socket, so that a test has every byte in its hands.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Longer than any answer takes, so that a sender that hangs ends the test.
const PATIENCE: Duration = Duration::from_secs(90);

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Head and body as they came.
    pub(super) text: String,
}

impl Answer {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let named = |line: &&str| line.split(':').next().is_some_and(|key| key.eq_ignore_ascii_case(name));
        head.lines().find(named)?.split_once(':').map(|(_, value)| value.trim())
    }
}

/// A connection to the receiver.
pub(super) fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The head of a request with these lines in it, each with its line end.
pub(super) fn head(path: &str, lines: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: receiver\r\nconnection: close\r\n{lines}\r\n")
}

/// The head of a request whose body has so many bytes.
pub(super) fn head_of(path: &str, lines: &str, length: usize) -> String {
    head(path, &format!("content-length: {length}\r\n{lines}"))
}

/// Sends a body, and reads the answer.
pub(super) fn post(to: SocketAddr, path: &str, lines: &str, body: &[u8]) -> io::Result<Answer> {
    send(to, &[head_of(path, lines, body.len()).as_bytes(), body].concat())
}

/// Sends these bytes, and reads the answer.
pub(super) fn send(to: SocketAddr, bytes: &[u8]) -> io::Result<Answer> {
    let mut stream = connect(to)?;
    // Who is refused may be told so before everything is sent.
    let sent = stream.write_all(bytes);
    match answer(&mut stream) {
        Ok(answer) => Ok(answer),
        Err(error) => Err(sent.err().unwrap_or(error)),
    }
}

/// Reads an answer to its end.
pub(super) fn answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            // What was answered before the connection was reset counts.
            Err(_) if !bytes.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no answer, but {text:?}")))?;
    Ok(Answer { status, text })
}

/// The bytes under gzip.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("in memory");
    encoder.finish().expect("in memory")
}
