//! Tokens from an endpoint that answers as it is told.

use std::sync::{Arc, Mutex as StdMutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::web::proxy::Proxying;

const TERMS: Terms = Terms {
    pause: Duration::from_secs(3600),
    default_life: Duration::from_secs(300),
    allow_plain_http: false,
};

/// An endpoint on this machine, and what it was asked.
struct Endpoint {
    url: Url,
    heard: Arc<StdMutex<Vec<String>>>,
}

impl Endpoint {
    /// Answers one request after another, the last ones with the last answer.
    async fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/token", listener.local_addr().unwrap())).unwrap();
        let heard = Arc::new(StdMutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        let serve = async move {
            let mut number = 0;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (mut text, mut bytes) = (String::new(), [0; 4096]);
                while !text.contains("client_credentials") {
                    let count = stream.read(&mut bytes).await.unwrap();
                    text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
                }
                all.lock().unwrap().push(text);
                // Who asked may be gone when it has read enough.
                drop(stream.write_all(answers[answers.len().min(number + 1) - 1].as_bytes()).await);
                number += 1;
            }
        };
        #[expect(clippy::disallowed_methods, reason = "this module imports no task module")]
        drop(tokio::spawn(serve));
        Self { url, heard }
    }

    fn tokens(&self, terms: Terms) -> Tokens {
        let grant = Grant {
            scheme: GrantScheme::Basic,
            token_url: self.url.clone(),
            client_id: "me".into(),
            client_secret: SecretSource::Value(Secret::new("hunter2/hunter2")),
            scopes: vec!["a b".into()],
        };
        Tokens::new(grant, terms, client::Config { proxy: Proxying::Never, ..client::Config::default() })
    }

    fn asked(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn granting(life: &str) -> String {
    answer("200 OK", &format!(r#"{{"access_token":"t0ken","expires_in":{life}}}"#))
}

#[test]
fn a_token_is_renewed_when_a_tenth_of_its_life_is_left() {
    let (secret, now) = (Secret::new("t"), Instant::now());
    let day = Token::new(secret.clone(), now, Duration::from_secs(86_399));
    assert_eq!(day.renew_at - now, Duration::from_secs(86_399 - 3600), "an hour ahead, not 2.4 hours");
    let minute = Token::new(secret, now, Duration::from_secs(60));
    assert_eq!(minute.renew_at - now, Duration::from_secs(54));
}

#[tokio::test]
async fn all_who_ask_share_a_token_of_any_life() {
    for (life, expected) in
        [("600", 600), ("\"600\"", 600), ("1e300", 300), ("-5", 300), ("9223372036854775807", 24 * 3600)]
    {
        let endpoint = Endpoint::start(vec![granting(life)]).await;
        let tokens = endpoint.tokens(TERMS);
        let token = tokens.fresh().await.unwrap();
        assert_eq!(token.expires_at - token.fetched_at, Duration::from_secs(expected), "{life}");
        assert_eq!(tokens.get().await.unwrap().expose(), "t0ken");
        tokens.fresh().await.unwrap();
        assert_eq!(endpoint.asked(), 1, "{life}");
        let heard = endpoint.heard.lock().unwrap()[0].clone();
        assert!(heard.contains("scope=a+b") && heard.contains("Basic bWU6aHVudGVyMi9odW50ZXIy"), "{heard}");
    }
}

#[tokio::test]
async fn an_endpoint_that_throttles_is_left_alone_for_as_long_as_it_asks() {
    let throttle = answer("429 Busy\r\nretry-after: 1000", r#"{"error":"slow_down"}"#);
    let endpoint = Endpoint::start(vec![throttle]).await;
    let tokens = endpoint.tokens(Terms { pause: Duration::ZERO, ..TERMS });
    for _ in 0..3 {
        let error = tokens.fresh().await.unwrap_err();
        assert_eq!(error.kind, Kind::RateLimited);
        assert!(error.retry_after.is_some_and(|wish| wish > Duration::from_secs(900)), "{error:?}");
    }
    assert_eq!(endpoint.asked(), 1);
}

#[tokio::test]
async fn an_endpoint_that_wishes_for_no_pause_is_not_hammered() {
    let down = answer("503 Down\r\nretry-after: 0", "");
    let tokens = Endpoint::start(vec![down]).await.tokens(TERMS);
    for _ in 0..2 {
        let error = tokens.fresh().await.unwrap_err();
        assert_eq!(tokens.pause_after(&error), TERMS.pause, "{error:?}");
    }
    assert!(tokens.lock().refusal.as_ref().unwrap().until > Instant::now() + TERMS.pause / 2);
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_not_kept() {
    let broken = answer("200 OK", r#"{"access_token":"hunter3\nX-Evil: 1","expires_in":600}"#);
    let endpoint = Endpoint::start(vec![broken, granting("600")]).await;
    let tokens = endpoint.tokens(Terms { pause: Duration::ZERO, ..TERMS });
    let error = tokens.get().await.unwrap_err();
    assert_eq!(error.kind, Kind::Credential);
    assert!(error.to_string().contains("a header cannot carry"), "{error}");
    assert!(!format!("{error:?}").contains("hunter3"), "{error:?}");
    assert_eq!(tokens.get().await.unwrap().expose(), "t0ken");
}

#[tokio::test]
async fn an_old_token_is_good_while_there_is_no_newer() {
    let endpoint = Endpoint::start(vec![granting("600"), answer("503 Down", "")]).await;
    let tokens = endpoint.tokens(TERMS);
    tokens.fresh().await.unwrap();
    let age = |by| {
        let mut state = tokens.lock();
        let token = state.token.as_mut().unwrap();
        token.fetched_at -= Duration::from_secs(by);
        token.expires_at -= Duration::from_secs(by);
    };
    age(299);
    tokens.fresh().await.unwrap();
    assert_eq!(endpoint.asked(), 1, "half of its life is left");
    age(2);
    assert_eq!(tokens.fresh().await.unwrap().secret.expose(), "t0ken");
    tokens.fresh().await.unwrap();
    assert_eq!(endpoint.asked(), 2, "it failed, and has its pause");
    age(300);
    assert_eq!(tokens.fresh().await.unwrap_err().kind, Kind::Server);
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test]
async fn a_renewal_that_fails_is_counted_and_the_token_stays() {
    let endpoint = Endpoint::start(vec![granting("600"), answer("503 Down", "")]).await;
    let tokens = endpoint.tokens(TERMS);
    tokens.get().await.unwrap();
    tokens.lock().token.as_mut().unwrap().renew_at = Instant::now();
    let failures = Counter::default();
    let counted = async {
        while failures.get() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = tokens.keep_fresh("s", &failures) => {}
        () = counted => {}
    }
    assert_eq!((failures.get(), endpoint.asked()), (1, 2));
    assert_eq!(tokens.get().await.unwrap().expose(), "t0ken");
}

#[tokio::test]
async fn a_refused_token_is_given_up_when_it_is_not_new() {
    let endpoint = Endpoint::start(vec![granting("600")]).await;
    let tokens = endpoint.tokens(TERMS);
    tokens.fresh().await.unwrap();
    tokens.refused();
    tokens.fresh().await.unwrap();
    assert_eq!(endpoint.asked(), 1, "another would be refused as well");
    let tokens = endpoint.tokens(Terms { pause: Duration::ZERO, ..TERMS });
    tokens.fresh().await.unwrap();
    tokens.refused();
    tokens.fresh().await.unwrap();
    assert_eq!(endpoint.asked(), 3);
}

#[tokio::test]
async fn an_answer_is_bounded_and_its_echo_hidden() {
    let endless = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(1 << 20));
    let error = Endpoint::start(vec![endless]).await.tokens(TERMS).get().await.unwrap_err();
    assert_eq!(error.kind, Kind::Server);
    assert!(error.to_string().contains("the answer holds no token"), "{error}");
    let echo = answer(
        "401 No",
        r#"{"error":"invalid_client","error_description":"hunter2\/hunter2 is no \u0068unter2"}"#,
    );
    let error = Endpoint::start(vec![echo]).await.tokens(TERMS).get().await.unwrap_err();
    assert!(error.to_string().ends_with("(invalid_client: <hidden> is no <hidden>)"), "{error}");
}

#[tokio::test]
async fn a_secret_goes_to_no_proxy_in_clear() {
    let endpoint = Endpoint::start(vec![granting("600")]).await;
    let grant =
        Grant { token_url: Url::parse("http://idp.example/token").unwrap(), ..endpoint.tokens(TERMS).grant };
    let proxy = Proxying::At(SecretSource::Value(Secret::new(format!("http://{}", host_of(&endpoint.url)))));
    let http = client::Config { proxy, ..client::Config::default() };
    let error = Tokens::new(grant.clone(), TERMS, http.clone()).get().await.unwrap_err();
    assert!(chain(&error).contains("would show the credential to it"), "{}", chain(&error));
    assert_eq!(endpoint.asked(), 0);
    let terms = Terms { allow_plain_http: true, ..TERMS };
    Tokens::new(grant, terms, http).get().await.unwrap();
    let heard = endpoint.heard.lock().unwrap().concat();
    assert!(heard.starts_with("POST http://idp.example/token HTTP/1.1"), "{heard}");
}
