//! The mock over the wire: what a client of it sees, and that each fault really happens.

mod faults;
mod largest;
mod livestream;
mod protocol;
mod webhook;

use std::io::Write as _;

use flate2::write::MultiGzDecoder;
use serde_json::{Value, json};

use crate::airship::Config as AirshipConfig;
use crate::{Config, Handle, start};

/// A response that is read bit by bit.
struct Reader {
    response: reqwest::Response,
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
    /// The body, decompressed, of a response without compression.
    plain: Vec<u8>,
    /// The body as it came.
    raw: Vec<u8>,
}

/// How a response ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// With the last chunk.
    Complete,
    /// Without.
    Broken,
}

async fn serve(airship: AirshipConfig) -> Handle {
    start(Config::local(airship)).await.unwrap()
}

fn request(handle: &Handle, body: &Value) -> reqwest::RequestBuilder {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    client
        .post(format!("{}/api/events", handle.url()))
        .bearer_auth("token")
        .header("X-UA-Appkey", "app")
        .header("Accept", "application/vnd.urbanairship+x-ndjson; version=3;")
        .body(body.to_string())
}

async fn open(handle: &Handle, body: Value) -> Reader {
    let response = request(handle, &body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    Reader::new(response)
}

async fn open_earliest(handle: &Handle) -> Reader {
    open(handle, json!({ "start": "EARLIEST" })).await
}

async fn status(handle: &Handle, body: Value) -> u16 {
    request(handle, &body).send().await.unwrap().status().as_u16()
}

/// What `handle` must deliver of `positions`, line ends included.
fn expected(handle: &Handle, positions: std::ops::Range<u64>) -> String {
    handle.log().expected(positions).map(|line| String::from_utf8(line.line).unwrap() + "\n").collect()
}

impl Reader {
    fn new(response: reqwest::Response) -> Self {
        let is_gzip = response.headers().get("content-encoding").is_some_and(|value| value == "gzip");
        let decoder = is_gzip.then(|| MultiGzDecoder::new(Vec::new()));
        Self { response, decoder, plain: Vec::new(), raw: Vec::new() }
    }

    fn text(&mut self) -> Vec<u8> {
        match &mut self.decoder {
            Some(decoder) => {
                // Failing here is part of some faults; what was readable counts.
                drop(decoder.flush());
                decoder.get_ref().clone()
            }
            None => self.plain.clone(),
        }
    }

    async fn chunk(&mut self) -> Result<bool, End> {
        match self.response.chunk().await {
            Ok(Some(chunk)) => {
                self.raw.extend_from_slice(&chunk);
                match &mut self.decoder {
                    Some(decoder) => decoder.write_all(&chunk).unwrap(),
                    None => self.plain.extend_from_slice(&chunk),
                }
                Ok(true)
            }
            Ok(None) => Err(End::Complete),
            Err(_) => Err(End::Broken),
        }
    }

    /// Reads until there are `lines` line ends.
    async fn lines(&mut self, lines: usize) -> String {
        String::from_utf8(self.byte_lines(lines).await).unwrap()
    }

    /// The same, for text that is not all UTF-8.
    async fn byte_lines(&mut self, lines: usize) -> Vec<u8> {
        loop {
            let text = self.text();
            if text.iter().filter(|byte| **byte == b'\n').count() >= lines {
                return text;
            }
            self.chunk().await.unwrap();
        }
    }

    /// Reads to the end.
    async fn end(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Err(end) = self.chunk().await {
                return (self.text(), end);
            }
        }
    }

    /// Whether what came is gzip from the first to the last byte, trailers included.
    fn is_whole_gzip(&self) -> bool {
        let mut sink = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&self.raw[..]), &mut sink).is_ok()
    }
}
