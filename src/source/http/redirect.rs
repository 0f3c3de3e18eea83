//! Where a redirect may lead: pure decisions, no HTTP client.
//!
//! Invariant: a credential goes to the configured URL's own origin, or to an https host on the allow-list
//! (plain http only where that was allowed, or to loopback), and nowhere else.

use url::Url;

use crate::web::is_loopback;

/// Which targets may get the credential.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Policy {
    /// Hosts; whatever is below one is allowed too.
    pub hosts: Vec<String>,
    /// Whether `http` is accepted for hosts that are not loopback.
    pub allow_plain_http: bool,
    /// Redirects followed within one connect. Clients that had no limit were seen looping hundreds of times a second.
    pub max_hops: usize,
    /// Whether the parameters go along to a `Location` that has none of its own.
    pub keeps_query: bool,
}

/// Why a redirect is not followed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RedirectError {
    /// `Location` is no URL.
    #[error("the redirect's Location is not a valid address")]
    BadLocation,
    /// The host is not on the allow-list.
    #[error("redirected to {0}, which is not in redirect_hosts; the credential was not sent there")]
    HostNotAllowed(String),
    /// The target is not encrypted.
    #[error("redirected to plain http at {0}; the credential was not sent there")]
    NotHttps(String),
    /// The chain did not end.
    #[error("more than {0} redirects in a row")]
    TooMany(usize),
}

impl Policy {
    /// The address to repeat the request at. No `location` means the same address (Airship's 307 with a cookie).
    pub(crate) fn target(&self, current: &Url, location: Option<&str>) -> Result<Url, RedirectError> {
        let Some(location) = location else { return Ok(current.clone()) };
        let mut target = current.join(location).map_err(|_| RedirectError::BadLocation)?;
        let Some(host) = target.host_str().map(str::to_owned) else { return Err(RedirectError::BadLocation) };
        // Userinfo in a Location would replace our credential, and would be logged.
        if target.set_username("").is_err() || target.set_password(None).is_err() {
            return Err(RedirectError::BadLocation);
        }
        if self.keeps_query && target.query().is_none() {
            target.set_query(current.query());
        }
        if target.origin() == current.origin() {
            return Ok(target);
        }
        if !self.hosts.iter().any(|allowed| is_at_or_below(&host, allowed)) {
            return Err(RedirectError::HostNotAllowed(host));
        }
        let stays_here = target.host().is_some_and(|host| is_loopback(&host));
        let plain_is_fine = target.scheme() == "http" && (self.allow_plain_http || stays_here);
        if target.scheme() == "https" || plain_is_fine {
            Ok(target)
        } else {
            Err(RedirectError::NotHttps(host))
        }
    }
}

fn is_at_or_below(host: &str, allowed: &str) -> bool {
    // A URL's host is in lower case, a configured one is as it was written.
    host.strip_suffix(&allowed.to_ascii_lowercase())
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(location: Option<&str>) -> Result<String, RedirectError> {
        let hosts = vec!["UrbanAirship.com".into(), "127.0.0.1".into()];
        let policy = Policy { hosts, allow_plain_http: false, max_hops: 10, keeps_query: false };
        let current = Url::parse("https://connect.urbanairship.com/api/events/").unwrap();
        policy.target(&current, location).map(|url| url.to_string())
    }

    #[test]
    fn no_location_repeats_the_request() {
        assert_eq!(target(None).unwrap(), "https://connect.urbanairship.com/api/events/");
    }

    #[test]
    fn parameters_go_along_only_where_there_are_none() {
        let hosts = vec!["livestream.adobe.net".into()];
        let policy = Policy { hosts, allow_plain_http: false, max_hops: 5, keeps_query: true };
        let current = Url::parse("https://livestream.adobe.net/api/1/stream/x?maxConnections=2").unwrap();
        let target = |location| policy.target(&current, Some(location)).unwrap().to_string();
        let expected = "https://sjo.livestream.adobe.net/y?maxConnections=2";
        assert_eq!(target("https://sjo.livestream.adobe.net/y"), expected);
        assert_eq!(
            target("https://sjo.livestream.adobe.net/y?z=1"),
            "https://sjo.livestream.adobe.net/y?z=1"
        );
        assert_eq!(target("../x2"), "https://livestream.adobe.net/api/1/x2?maxConnections=2");
    }

    #[test]
    fn allowed_hosts_and_what_is_below_them() {
        assert_eq!(target(Some("/x?y=1")).unwrap(), "https://connect.urbanairship.com/x?y=1");
        assert_eq!(target(Some("https://a.b.urbanairship.com/")).unwrap(), "https://a.b.urbanairship.com/");
        assert_eq!(target(Some("http://127.0.0.1:1/x")).unwrap(), "http://127.0.0.1:1/x");
        assert_eq!(
            target(Some("https://u:p@connect.urbanairship.com/")).unwrap(),
            "https://connect.urbanairship.com/"
        );
    }

    #[test]
    fn hostile_targets_get_nothing() {
        for location in [
            "https://evil.example/",
            "https://evilurbanairship.com/",
            "https://urbanairship.com.evil.example/",
            "https://urbanairship.com@evil.example/",
            "//evil.example/x",
            "\\\\evil.example\\x",
        ] {
            assert!(matches!(target(Some(location)), Err(RedirectError::HostNotAllowed(_))), "{location}");
        }
        assert!(matches!(target(Some("http://connect.urbanairship.com/")), Err(RedirectError::NotHttps(_))));
        assert!(target(Some("ftp://urbanairship.com/")).is_err());
        assert!(target(Some("file:///etc/passwd")).is_err());
        assert_eq!(target(Some("https://")), Err(RedirectError::BadLocation));
    }
}
