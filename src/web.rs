//! What requests to services and token endpoints have in common: the client, the way through a proxy, tokens of OAuth 2. And
//! what servers have in common. Knows no service and no broker.

pub(crate) mod accept;
pub(crate) mod certificate;
pub(crate) mod client;
pub(crate) mod oauth;
pub(crate) mod otlp;
pub(crate) mod proxy;
pub(crate) mod retry_after;

use url::{Host, Url};

/// Whether a host is this machine, whatever a name server says.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
    }
}

/// The host of an address, and its port if it is not the scheme's.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine() {
        let is_here = |text| is_loopback(&Url::parse(text).unwrap().host().unwrap());
        for here in
            ["http://localhost/", "http://127.9.9.9:1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/"]
        {
            assert!(is_here(here), "{here}");
        }
        for there in
            ["http://localhost.example/", "http://128.0.0.1/", "http://[::2]/", "http://[::ffff:10.0.0.1]/"]
        {
            assert!(!is_here(there), "{there}");
        }
    }
}
