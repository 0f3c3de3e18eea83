//! A service that answers each request with the same lines and then says no more.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// Serves these lines, each ended by LF, until the test process ends.
pub(crate) fn serve(lines: impl IntoIterator<Item = impl AsRef<str>>) -> SocketAddr {
    let body: String =
        lines.into_iter().flat_map(|line| [line.as_ref().to_owned(), "\n".to_owned()]).collect();
    let body: Arc<str> = body.into();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let body = Arc::clone(&body);
            thread::spawn(move || answer(stream, &body));
        }
    });
    address
}

fn answer(mut stream: TcpStream, body: &str) -> Option<()> {
    let mut request = [0; 4096];
    if stream.read(&mut request).ok()? == 0 {
        return None;
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.urbanairship+x-ndjson\r\n\r\n";
    write!(stream, "{head}{body}").ok()?;
    // Open until the client goes.
    while stream.read(&mut request).ok()? > 0 {}
    Some(())
}
