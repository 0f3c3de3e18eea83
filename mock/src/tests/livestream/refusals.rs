//! Requests that get no stream, each for one reason; and redirects.

use super::*;
use crate::engine::fault::ErrorBody;

async fn body(request: RequestBuilder) -> (u16, String) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn each_check_has_its_status() {
    let handle = serve(AdobeConfig { needs_api_key: true, ..config(10) }).await;
    let path = handle.adobe().path();
    let url = |path: &str| format!("{}{path}", handle.url());
    let right = |request: RequestBuilder| {
        request.bearer_auth("fixed").header("Accept-Encoding", "gzip").header("x-api-key", "id")
    };
    assert_eq!(status(right(client().post(url(&path)))).await, 405);
    assert_eq!(status(client().get(url(&path)).bearer_auth("fixed")).await, 406);
    let old = right(client().get(url(&path))).version(reqwest::Version::HTTP_10);
    assert_eq!(status(old).await, 505);
    assert_eq!(status(right(client().get(url("/api/1/stream/other")))).await, 404);
    assert_eq!(status(right(client().get(url("/api/1/schema")))).await, 404);
    assert_eq!(body(request(&handle, "")).await, (401, "not authorized".to_owned()));
    let wrong = client().get(url(&path)).header("Accept-Encoding", "gzip").header("x-api-key", "id");
    let wrong = wrong.bearer_auth("x");
    assert_eq!(status(wrong).await, 401);
    for query in ["?maxConnections=9", "?maxConnections=0", "?smoothing=1&smoothingBucketSize=0", "?reset=x"]
    {
        let (status, body) = body(right(client().get(url(&(path.clone() + query))))).await;
        assert_eq!(status, 400, "{query}");
        assert!(body.contains("error_description"), "{body}");
    }
    handle.adobe().disable(&handle.adobe().names()[0], true);
    assert_eq!(status(right(client().get(url(&path)))).await, 404);
    let statuses = handle.stats().adobe.statuses;
    assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [400, 401, 404, 405, 406, 505]);
    assert_eq!(handle.stats().adobe.requests[5].scheme.as_deref(), Some("bearer"));
}

#[tokio::test]
async fn a_stream_may_have_to_be_enabled_first() {
    let handle =
        serve(AdobeConfig { needs_enable: true, enable_delay: Duration::from_millis(20), ..config(10) })
            .await;
    assert_eq!(status(request(&handle, "")).await, 424);
    let enable = handle.url() + "/api/2/enable/" + &handle.adobe().names()[0];
    let request_enable = || client().get(&enable).header("Accept-Encoding", "gzip");
    assert_eq!(status(request_enable()).await, 401);
    assert_eq!(status(request_enable().bearer_auth("fixed")).await, 200);
    while status(request(&handle, "")).await == 424 {}
    assert_eq!(handle.stats().adobe.enabled, 1);
    handle.adobe().forget_enabled();
    assert_eq!(status(request(&handle, "")).await, 424);
}

#[tokio::test]
async fn too_many_connections_conflict() {
    let handle = serve(config(10)).await;
    let first = open(&handle, "?maxConnections=2").await;
    let second = open(&handle, "?maxConnections=2").await;
    let (code, text) = body(request(&handle, "?maxConnections=2")).await;
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 409);
    assert!(value["error_description"].as_str().unwrap().contains("maximum number"));
    drop(second);
    handle.adobe().wait_for(|stats| stats.open_streams == 1).await;
    let (code, text) = body(request(&handle, "?maxConnections=3")).await;
    assert!(code == 409 && text.contains("differs"), "{code} {text}");
    drop(first);
    drop(reopen(&handle, "?maxConnections=3").await);
}

#[tokio::test]
async fn ghosts_hold_their_slot_and_reset_off() {
    let handle = serve(AdobeConfig { ghost_linger: Duration::from_secs(3_600), ..config(10) }).await;
    // The server's own end leaves none.
    let mut reader = open(&handle, "?reset=smallest").await;
    handle.adobe().disconnect(Fault::Eof {});
    reader.end().await;
    let reader = reopen(&handle, "?maxConnections=2").await;
    drop(reader);
    handle.adobe().wait_for(|stats| stats.ghosts == 1 && stats.open_streams == 0).await;
    assert_eq!(handle.adobe().ghosts(), 1);
    assert_eq!(status(request(&handle, "")).await, 409);
    let reader = open(&handle, "?maxConnections=2&reset=earliest").await;
    assert_eq!(status(request(&handle, "?maxConnections=2")).await, 409);
    let stats = handle.adobe().stats();
    assert_eq!((stats.resets_honoured, stats.resets_ignored), (1, 1));
    drop(reader);
    handle.adobe().wait_for(|stats| stats.open_streams == 0).await;
    handle.adobe().forget_ghosts();
    drop(open(&handle, "").await);
}

#[tokio::test]
async fn a_quick_reconnect_can_be_refused() {
    let handle = serve(AdobeConfig { min_reconnect: Duration::from_secs(3_600), ..config(10) }).await;
    drop(open(&handle, "").await);
    handle.adobe().wait_for(|stats| stats.open_streams == 0).await;
    assert_eq!(status(request(&handle, "")).await, 503);
}

#[tokio::test]
async fn faults_at_connect_are_bursts_pages_and_pages_that_are_no_streams() {
    let handle = serve(config(10)).await;
    let fault = |code, body| Fault::Status { code, body, message: None, retry_after: Some(7) };
    handle.adobe().arm(Armed::now(fault(503, ErrorBody::Text)).times(2));
    handle.adobe().arm(Armed::now(fault(200, ErrorBody::Html)));
    for _ in 0..2 {
        let response = request(&handle, "").send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &"7".parse().unwrap())
        );
    }
    let (code, page) = body(request(&handle, "")).await;
    assert!(code == 200 && page.starts_with("<html>"));
    let stats = handle.adobe().stats();
    assert_eq!((stats.faults["status"], stats.streams), (3, 0));
}

#[tokio::test]
async fn error_bodies_may_be_compressed() {
    let handle = serve(AdobeConfig { gzip_errors: true, ..config(10) }).await;
    let mut reader = Reader::new(request(&handle, "?reset=x").send().await.unwrap());
    let (text, _) = reader.end().await;
    assert!(reader.is_whole_gzip() && String::from_utf8(text).unwrap().contains("reset must be"));
}

#[tokio::test]
async fn connects_are_redirected_to_the_second_port() {
    for (with_query, code) in [(true, 302), (false, 308)] {
        let handle = serve(AdobeConfig {
            second_listen: Some("127.0.0.1:0".into()),
            redirect_with_query: with_query,
            redirect_code: code,
            ..config(10)
        })
        .await;
        let response = request(&handle, "?maxConnections=2").send().await.unwrap();
        assert_eq!(response.status(), code);
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        let query = if with_query { "?maxConnections=2" } else { "" };
        assert_eq!(location, handle.second_url().unwrap() + &handle.adobe().path() + query);
        let follow = || client().get(&location).header("Accept-Encoding", "gzip");
        assert_eq!(status(follow()).await, 401);
        assert_eq!(status(follow().bearer_auth("fixed").header("x-api-key", "id")).await, 200);
        let seen = handle.adobe().seen_at_second();
        assert_eq!((seen[0].scheme.as_deref(), seen[0].has_api_key), (None, false));
        assert_eq!((seen[1].scheme.as_deref(), seen[1].has_api_key), (Some("bearer"), true));
        assert_eq!(seen[1].query.len(), usize::from(with_query));
        assert_eq!(handle.adobe().stats().redirects, 1);
        handle.adobe().redirect_to(None);
        handle.adobe().wait_for(|stats| stats.open_streams == 0).await;
        assert_eq!(status(request(&handle, "")).await, 200);
    }
}
