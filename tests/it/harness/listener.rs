//! Servers that are no mock: one that hears every byte and answers badly, one that plays a script. They share no code
//! with the mock.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request that is not there by then will not come.
const READ: Duration = Duration::from_secs(10);

/// What a server says to its `n`-th request, from 0; nothing for a connection that is kept open in silence.
type Answer = dyn Fn(usize, &Heard) -> Option<Vec<u8>> + Send + Sync;

/// Listens for as long as the test process lives.
pub(crate) struct Listener {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
}

/// A request, every byte of it; empty for a connection that brought none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Listener {
    /// Closes each connection without an answer. At another address of this machine than the mock's.
    pub(crate) fn closing() -> Self {
        Self::start("127.0.0.2:0", |_, _| Some(Vec::new()))
    }

    /// Answers as `answer` says; each answer ends its connection.
    pub(crate) fn answering(
        answer: impl Fn(usize, &Heard) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self::start("127.0.0.1:0", answer)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    fn start(
        address: &str,
        answer: impl Fn(usize, &Heard) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("a loopback address");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (all, answer): (_, Arc<Answer>) = (Arc::clone(&heard), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &all, &answer));
            }
        });
        Self { address, heard }
    }
}

fn serve(stream: TcpStream, all: &Mutex<Vec<Heard>>, answer: &Arc<Answer>) {
    let heard = read(&stream).unwrap_or_default();
    let number = {
        let mut all = all.lock().unwrap();
        all.push(heard.clone());
        all.len() - 1
    };
    match answer(number, &heard) {
        Some(answer) => {
            // Who asked may be gone already.
            (&stream).write_all(&answer).and_then(|()| stream.shutdown(Shutdown::Write)).ok();
        }
        None => {
            stream.set_read_timeout(None).ok();
            io::copy(&mut &stream, &mut io::sink()).ok();
        }
    }
}

fn read(stream: &TcpStream) -> io::Result<Heard> {
    stream.set_read_timeout(Some(READ))?;
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let from = head.len();
        if reader.read_line(&mut head)? == 0 || head[from..].trim().is_empty() {
            break;
        }
        let line = head[from..].to_ascii_lowercase();
        length = line.strip_prefix("content-length:").map_or(length, |text| text.trim().parse().unwrap_or(0));
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    Ok(Heard { head, body: String::from_utf8_lossy(&body).into_owned() })
}

/// A whole response.
pub(crate) fn response(status: u16, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut response = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )
    .into_bytes();
    response.extend_from_slice(body);
    response
}
