//! The token endpoints, and what tokens are good for.

use super::*;
use crate::adobe::OnExpiry;

async fn mint(handle: &Handle, fields: &[(&str, &str)]) -> (u16, Value) {
    let response = client().post(handle.url() + "/ims/token/v3").form(fields).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

const FIELDS: [(&str, &str); 4] = [
    ("grant_type", "client_credentials"),
    ("client_id", "id"),
    ("client_secret", "old"),
    ("scope", "openid,AdobeID"),
];

fn with_client(events: u64) -> AdobeConfig {
    AdobeConfig {
        client_id: Some("id".into()),
        client_secrets: vec!["old".into(), "new".into()],
        scope: Some("openid,AdobeID".into()),
        events,
        ..AdobeConfig::default()
    }
}

async fn token(handle: &Handle) -> String {
    let (status, body) = mint(handle, &FIELDS).await;
    assert_eq!((status, &body["token_type"]), (200, &json!("bearer")));
    body["access_token"].as_str().unwrap().to_owned()
}

fn stream(handle: &Handle, token: &str) -> RequestBuilder {
    client().get(handle.url() + &handle.adobe().path()).bearer_auth(token).header("Accept-Encoding", "gzip")
}

#[tokio::test]
async fn tokens_are_issued_and_checked() {
    let handle = serve(with_client(10)).await;
    let issued = token(&handle).await;
    assert_eq!(status(stream(&handle, &issued)).await, 200);
    assert_eq!(status(stream(&handle, "mock.other")).await, 401);
    let (_, body) = mint(&handle, &FIELDS).await;
    assert_eq!(body["expires_in"], 86_399);
    assert_ne!(body["access_token"], issued);
    let with = |at: usize, field: (&'static str, &'static str)| {
        let mut fields = FIELDS;
        fields[at] = field;
        fields
    };
    for (fields, code, error) in [
        (with(2, ("client_secret", "new")), 200, Value::Null),
        (with(2, ("client_secret", "x")), 401, json!("invalid_client")),
        (with(1, ("client_id", "x")), 401, json!("invalid_client")),
        (with(0, ("grant_type", "password")), 400, json!("unsupported_grant_type")),
        (with(2, ("other", "x")), 400, json!("invalid_request")),
        (with(3, ("scope", "x")), 400, json!("invalid_scope")),
    ] {
        let (status, body) = mint(&handle, &fields).await;
        assert_eq!((status, &body["error"]), (code, &error), "{fields:?}");
    }
    let query = "?grant_type=client_credentials&client_id=id&client_secret=new&scope=openid,AdobeID";
    let url = handle.url() + "/ims/token/v3";
    assert_eq!(status(client().post(url.clone() + query)).await, 200);
    assert_eq!(status(client().get(url)).await, 405);
    let basic = client().post(handle.url() + "/oauth2/token").basic_auth("id", Some("old"));
    assert_eq!(status(basic.form(&[FIELDS[0], FIELDS[3]])).await, 200);
    let by_password = |fields: &[(&'static str, &'static str)]| {
        let request = client().post(handle.url() + "/token").basic_auth("id", Some("old"));
        let scope = FIELDS[3];
        request.form(&[&[("grant_type", "password"), scope], fields].concat())
    };
    assert_eq!(status(by_password(&[("username", "me"), ("password", "mine")])).await, 200);
    assert_eq!(status(by_password(&[("username", "me")])).await, 400);
    let stats = handle.adobe().stats();
    assert_eq!((stats.minted, stats.token_statuses[&200]), (6, 6));
    assert!(!format!("{:?}", handle.stats()).contains("new"), "a secret is in the statistics");
}

#[tokio::test]
async fn tokens_are_refused_on_command() {
    let handle = serve(with_client(10)).await;
    handle.adobe().throttle(1, 3);
    handle.adobe().refuse_tokens(1);
    handle.adobe().arm_token(Armed::now(Fault::Status {
        code: 500,
        body: Default::default(),
        message: None,
        retry_after: None,
    }));
    let statuses =
        [mint(&handle, &FIELDS).await.0, mint(&handle, &FIELDS).await.0, mint(&handle, &FIELDS).await.0];
    assert_eq!(statuses, [500, 429, 401]);
    token(&handle).await;
}

#[tokio::test]
async fn an_expired_token_opens_nothing_and_may_end_what_is_open() {
    for (on_expiry, text, end) in [
        (OnExpiry::Keep, "", None),
        (OnExpiry::Cut, "", Some(End::Broken)),
        (OnExpiry::Line, "not authorized\r\n", Some(End::Complete)),
        (OnExpiry::Text, "not authorized", Some(End::Complete)),
    ] {
        let handle = serve(AdobeConfig { on_expiry, hold_at: Some(5), ..with_client(10) }).await;
        let issued = token(&handle).await;
        let mut reader = Reader::new(stream(&handle, &issued).send().await.unwrap());
        let before = reader.byte_lines(5).await;
        handle.adobe().expire_tokens();
        assert_eq!(status(stream(&handle, &issued)).await, 401);
        match end {
            Some(end) => {
                let (got, ended) = reader.end().await;
                assert_eq!((String::from_utf8_lossy(&got[before.len()..]).as_ref(), ended), (text, end));
            }
            None => {
                handle.adobe().release(10);
                assert!(reader.byte_lines(10).await == expected(&handle.adobe().log(), 0..10));
            }
        }
    }
}

#[tokio::test]
async fn a_lifetime_below_a_second_is_enforced() {
    let lifetime = Duration::from_millis(30);
    let handle =
        serve(AdobeConfig { token_lifetime: lifetime, on_expiry: OnExpiry::Cut, ..with_client(10) }).await;
    let issued = token(&handle).await;
    while status(stream(&handle, &issued)).await == 200 {}
    assert_eq!(status(stream(&handle, &issued)).await, 401);
}
