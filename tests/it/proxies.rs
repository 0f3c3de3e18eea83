//! Proxies that the environment names: who goes through them, what they may see, what is said when they refuse.

use crate::harness::airship::scenes::{Scene, Setup, all_at_once};
use crate::harness::broker::broker;
use crate::harness::wait::{self, GENEROUS};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use tributary_mock::airship::{Armed, Config, Fault};

const EVENTS: u64 = 200;
/// Not this machine, nor any other.
const HOST: &str = "airship.example";
const TOKEN: &str = "token-of-the-stream-5d1c";
const PASSWORD: &str = "proxy-password-8e2f";

/// A proxy that answers every request with the same head, and hears what follows it.
struct Proxy {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Proxy {
    fn answering(head: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let all = Arc::clone(&all);
                thread::spawn(move || serve(&stream, head, &all));
            }
        });
        Self { address, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    fn with_password(&self) -> String {
        format!("http://user:{PASSWORD}@{}", self.address)
    }
}

fn serve(stream: &TcpStream, head: &str, all: &Mutex<Vec<Vec<u8>>>) {
    let mut reader = BufReader::new(stream);
    let mut heard = Vec::new();
    while reader.read_until(b'\n', &mut heard).is_ok_and(|count| count > 2) {}
    // Who asked may be gone.
    let answer = || (&mut &*stream).write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).ok();
    if head.starts_with("200") {
        answer();
        let mut first = [0; 5];
        reader.read_exact(&mut first).ok();
        heard.extend_from_slice(&first);
        all.lock().unwrap().push(heard);
    } else {
        // Before the answer: whoever sees that finds what was asked.
        all.lock().unwrap().push(heard);
        answer();
        // It keeps the connection open until who asked has gone.
        reader.read_exact(&mut [0]).ok();
    }
}

fn setup(name: &str, airship: Config, variable: &str, value: &str) -> Setup {
    let auth = format!("auth = {{ bearer = {{ value = \"{TOKEN}\" }} }}");
    Setup::new(name, airship).stream(&auth).env(variable, value)
}

/// A connector to a service elsewhere.
#[track_caller]
fn elsewhere(name: &str, scheme: &str, variable: &str, value: &str, keys: &str) -> Scene {
    let url = format!("url = \"{scheme}://{HOST}/api/events/\"\n{keys}");
    setup(name, all_at_once(EVENTS), variable, value).stream(&url).start(broker())
}

#[track_caller]
fn assert_hidden(scene: &mut Scene) {
    scene.stop();
    let log = scene.process.log().join("\n");
    assert!(!log.contains(PASSWORD) && !log.contains("8e2f") && !log.contains("5d1c"), "{log}");
}

#[test]
fn this_machine_is_reached_directly() {
    let proxy = Proxy::answering("502 Strange\r\ncontent-length: 0\r\nconnection: close");
    let address = proxy.address.to_string();
    let scene = setup("loopback", all_at_once(EVENTS), "HTTP_PROXY", &address)
        .env("ALL_PROXY", &address)
        .env("http_proxy", &address)
        .start(broker());
    scene.wait_delivered(scene.mock_log().distinct(EVENTS));
    assert_eq!(proxy.heard(), Vec::<String>::new(), "not so much as a connection");
}

#[test]
fn each_hop_of_a_redirect_has_its_own_way() {
    let proxy = Proxy::answering("200 OK");
    let fault = Armed::now(Fault::redirect(307, format!("https://{HOST}/api/events/")));
    let airship = Config { faults: vec![fault], ..all_at_once(EVENTS) };
    let hosts = format!("redirect_hosts = [\"127.0.0.1\", \"{HOST}\"]");
    let scene = setup("hops", airship, "HTTPS_PROXY", &proxy.with_password()).stream(&hosts).start(broker());
    scene.wait_delivered(scene.mock_log().distinct(EVENTS));
    assert_eq!(scene.mock.stats().faults["redirect"], 1);
    let heard = proxy.heard();
    // "user:proxy-password-8e2f"
    let credential = "proxy-authorization: Basic dXNlcjpwcm94eS1wYXNzd29yZC04ZTJm";
    assert!(heard.iter().all(|heard| heard.starts_with("CONNECT ")), "{heard:?}");
    assert!(heard[0].starts_with(&format!("CONNECT {HOST}:443 HTTP/1.1\r\n")), "{heard:?}");
    assert!(heard[0].to_ascii_lowercase().contains(&credential.to_ascii_lowercase()), "{heard:?}");
    assert!(!heard[0].contains(TOKEN), "{heard:?}");
    let behind = proxy.heard.lock().unwrap()[0].rsplit(|byte| *byte == b'\n').next().unwrap().to_vec();
    assert_eq!(behind[..2], [0x16, 3], "TLS begins inside the tunnel");
}

#[test]
fn a_tunnel_that_is_refused_says_by_whom_and_with_what() {
    for (name, head) in
        [("proxy-403", "403 Not From Here"), ("proxy-407", "407 Proxy Authentication Required")]
    {
        let proxy = Proxy::answering(head);
        let mut scene = elsewhere(name, "https", "HTTPS_PROXY", &proxy.with_password(), "");
        let expected = format!(
            "cannot reach {HOST} through the proxy {} (from HTTPS_PROXY), which answered {head}",
            proxy.address
        );
        let line = scene.process.wait_for_log(&expected, GENEROUS);
        assert!(line.contains("\"class\":\"network\""), "{line}");
        assert!(proxy.heard().iter().all(|heard| heard.starts_with("CONNECT ")), "{:?}", proxy.heard());
        assert_hidden(&mut scene);
    }
    // Nobody is there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut scene = elsewhere("proxy-gone", "https", "ALL_PROXY", &nobody.to_string(), "");
    let line = scene.process.wait_for_log(&format!("through the proxy {nobody} (from ALL_PROXY)"), GENEROUS);
    assert!(line.contains("refused"), "{line}");
    assert_hidden(&mut scene);
}

#[test]
fn plain_http_goes_through_a_proxy_where_that_is_allowed() {
    let proxy = Proxy::answering("407 Pay\r\ncontent-length: 0\r\nconnection: close");
    let keys = "allow_plain_http = true";
    let mut scene = elsewhere("proxy-plain", "http", "http_proxy", &proxy.with_password(), keys);
    let expected = format!("407 from the proxy {} (from http_proxy): it wants a credential", proxy.address);
    let line = scene.process.wait_for_log(&expected, GENEROUS);
    assert!(line.contains("ERROR"), "{line}");
    let heard = proxy.heard();
    assert!(heard[0].starts_with(&format!("POST http://{HOST}/api/events/ HTTP/1.1\r\n")), "{heard:?}");
    assert_hidden(&mut scene);
}

#[test]
fn a_variable_that_names_no_proxy_is_an_error() {
    let value = format!("socks5://user:{PASSWORD}@127.0.0.1:1");
    let mut scene = elsewhere("proxy-garbage", "https", "HTTPS_PROXY", &value, "");
    let line =
        scene.process.wait_for_log("the environment variable HTTPS_PROXY names no usable proxy", GENEROUS);
    assert!(line.contains("ERROR") && line.contains(&format!("{HOST} is not asked")), "{line}");
    wait::wait_until(GENEROUS, "not ready", || scene.process.get("/ready").status == 503);
    assert_hidden(&mut scene);
}
