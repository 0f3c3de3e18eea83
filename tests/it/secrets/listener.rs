//! Somebody else's server: hears what is sent to it and answers badly. Shares no code with the mock.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request that is not there by then will not come.
const READ: Duration = Duration::from_secs(10);

/// Listens for as long as the test process lives.
pub(super) struct Listener {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    /// Closes each connection without an answer. At another address of this machine than the mock's.
    pub(super) fn closing() -> Self {
        Self::start("127.0.0.2:0", |_, _| None)
    }

    /// Answers each request with 401 and what was in its `Authorization`, in the ways in which servers do that.
    pub(super) fn echoing() -> Self {
        Self::start("127.0.0.1:0", |number, head| Some(echo(number, head)))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads of the requests so far; of connections without a request, an empty text.
    pub(super) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn start(address: &str, answer: fn(usize, &str) -> Option<String>) -> Self {
        let listener = TcpListener::bind(address).expect("a loopback address");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(&stream);
                let head = head(&stream, &mut reader).unwrap_or_default();
                let number = {
                    let mut all = all.lock().unwrap();
                    all.push(head.clone());
                    all.len()
                };
                if let Some(answer) = answer(number, &head) {
                    // Who asked may be gone already.
                    (&stream).write_all(answer.as_bytes()).ok();
                }
            }
        });
        Self { address, heard }
    }
}

/// The head of a request; its body is read and thrown away.
fn head(stream: &TcpStream, reader: &mut BufReader<&TcpStream>) -> io::Result<String> {
    stream.set_read_timeout(Some(READ))?;
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let from = head.len();
        if reader.read_line(&mut head)? == 0 || head[from..].trim().is_empty() {
            break;
        }
        let line = head[from..].to_ascii_lowercase();
        length = line.strip_prefix("content-length:").map_or(length, |text| text.trim().parse().unwrap_or(0));
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    Ok(head)
}

/// In turn: plain, broken off inside the secret, with the secret at the end of what a client would keep, as JSON, then in
/// JSON's, a form's and HTML's spelling, and the first half of it.
fn echo(number: usize, head: &str) -> String {
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
    let sent = line.and_then(|line| line.split_once(':')).map_or("nothing", |(_, value)| value.trim());
    let special = |write: fn(char) -> String| -> String {
        sent.chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_string() } else { write(letter) })
            .collect()
    };
    let body = match number % 8 {
        0 => format!("you sent {sent}, which is wrong"),
        1 => format!("you sent {}{sent}{}", " ".repeat(480), ".".repeat(2_000)),
        2 => format!("you sent {}{sent}{sent}{sent}", "x".repeat(number % 90 + 440)),
        3 => format!("{{\"error\":\"you sent {sent}\",\"again\":\"{sent}\"}}"),
        4 => format!("{{\"error_description\":\"you sent {}\"}}", sent.replace('/', "\\/")),
        5 => format!(
            "{{\"error\":\"you sent {}\"}}",
            special(|letter| format!("\\u{:04x}", u32::from(letter)))
        ),
        6 => format!("you sent {}", special(|letter| format!("%{:02X}", u32::from(letter)))),
        _ => format!("<p>you sent {}…", &special(|letter| format!("&#{};", u32::from(letter)))),
    };
    let length = body.len();
    format!("HTTP/1.1 401 Unauthorized\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{body}")
}
