//! Wherever a service redirects to, the credential goes only to the place that was configured, and to hosts on the list by https.

use std::net::{IpAddr, Ipv6Addr};

use url::{Host, Url};

use super::Input;
use crate::source::http::redirect::Policy;

/// Lists of hosts; the last one has in its place what the input says.
const HOSTS: [&[&str]; 5] = [
    &["urbanairship.com", "asnapieu.com"],
    &["LiveStream.adobe.net"],
    &["127.0.0.1", "[::1]", "localhost"],
    &["bücher.example", "10.0.0.7"],
    &[],
];

const URLS: [&str; 4] = [
    "https://connect.urbanairship.com/api/events/",
    "https://livestream.adobe.net/api/1/stream/x?maxConnections=2",
    "http://localhost:8080/a/b?c=d",
    "https://10.0.0.7:8443/",
];

pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (hosts, url) = (usize::from(input.byte()), usize::from(input.byte()));
    let (allow_plain_http, keeps_query) = (input.flag(), input.flag());
    let mut hosts: Vec<String> = HOSTS[hosts % HOSTS.len()].iter().map(|host| (*host).to_owned()).collect();
    if hosts.is_empty() {
        let host = input.text();
        // As the configuration takes them.
        if Host::parse(&host).is_err() || host.starts_with('.') || host.contains('*') {
            return;
        }
        hosts.push(host);
    }
    let policy = Policy { hosts, allow_plain_http, max_hops: 9, keeps_query };
    let mut current = Url::parse(URLS[url % URLS.len()]).unwrap();
    for location in String::from_utf8_lossy(input.rest).split('\n').take(4) {
        let Ok(target) = policy.target(&current, Some(location)) else { return };
        assert!(
            target.username().is_empty() && target.password().is_none(),
            "no credential of the other side"
        );
        let is_same = (target.scheme(), target.host(), target.port_or_known_default())
            == (current.scheme(), current.host(), current.port_or_known_default());
        assert!(is_same || may_get_it(&target, &policy), "{target} gets the credential by {policy:?}");
        assert_eq!(policy.target(&target, None).as_ref(), Ok(&target), "without a location nothing moves");
        current = target;
    }
}

fn may_get_it(target: &Url, policy: &Policy) -> bool {
    let host = target.host().unwrap().to_owned();
    let is_listed = policy.hosts.iter().any(|allowed| match (&host, Host::parse(allowed).unwrap()) {
        (Host::Domain(host), Host::Domain(allowed)) => {
            let (mut host, mut allowed) = (host.rsplit('.'), allowed.rsplit('.'));
            allowed.all(|label| host.next() == Some(label))
        }
        // Nothing is below an address.
        (host, allowed) => *host == allowed,
    });
    let stays_here = match &host {
        Host::Domain(host) => host == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => {
            *address == Ipv6Addr::LOCALHOST || IpAddr::from(*address).to_canonical().is_loopback()
        }
    };
    let is_safe = match target.scheme() {
        "https" => true,
        "http" => policy.allow_plain_http || stays_here,
        _ => false,
    };
    is_listed && is_safe
}
