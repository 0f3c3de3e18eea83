//! Session pinning: which requests are answered with 307, and the cookies that make it stop.
//!
//! Invariant: a request with all cookies passes until they expire by command; attributes that a client sends back along with a cookie
//! (the Node client does) are ignored. Pure but for that.

use std::sync::atomic::{AtomicU64, Ordering};

use super::config::Pin;

/// Cookie names, in the order in which they are set. `SRV` is the one in the Java client's tests.
const NAMES: [&str; 3] = ["SRV", "AFFINITY", "ua_route"];

/// Hands out and checks cookies.
#[derive(Debug)]
pub(super) struct Pins {
    form: Pin,
    cookies: usize,
    /// Cookies of earlier generations are worthless.
    generation: AtomicU64,
}

/// The redirect to answer with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) has_location: bool,
    pub(super) cookies: Vec<String>,
}

impl Pins {
    pub(super) fn new(form: Pin, cookies: u8) -> Self {
        let cookies = usize::from(cookies).clamp(1, NAMES.len());
        Self { form, cookies, generation: AtomicU64::new(1) }
    }

    pub(super) fn expire(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Looks at the `Cookie` headers of a request.
    pub(super) fn check(&self, headers: &[&str]) -> Option<Redirect> {
        let sent = || {
            headers.iter().flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='))
        };
        let has = |name: &str| sent().any(|(key, value)| key == name && self.is_good(value));
        let passes = match self.form {
            Pin::Off => true,
            Pin::Loop => false,
            Pin::Cookie | Pin::Location => NAMES[..self.cookies].iter().all(|name| has(name)),
        };
        (!passes).then(|| Redirect {
            has_location: self.form == Pin::Location,
            cookies: NAMES[..self.cookies].iter().map(|name| self.cookie(name)).collect(),
        })
    }

    fn cookie(&self, name: &str) -> String {
        let generation = self.generation.load(Ordering::Acquire);
        format!("{name}=host-7.{generation}; Path=/api; HttpOnly")
    }

    fn is_good(&self, value: &str) -> bool {
        let generation = value.split('.').nth(1).and_then(|part| part.parse().ok());
        generation == Some(self.generation.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(cookie: &str) -> &str {
        cookie.split(';').next().unwrap()
    }

    #[test]
    fn cookies_open_the_door_until_they_expire() {
        let pins = Pins::new(Pin::Location, 2);
        let redirect = pins.check(&[]).unwrap();
        assert!(redirect.has_location);
        let [first, second] = &redirect.cookies[..] else { panic!("{redirect:?}") };
        let both = format!("{}; {}", pair(first), pair(second));
        assert_eq!(pins.check(&[both.as_str()]), None);
        assert_eq!(pins.check(&[first.as_str(), second.as_str()]), None);
        assert!(pins.check(&[pair(first)]).is_some());
        pins.expire();
        assert!(pins.check(&[both.as_str()]).is_some());
    }

    #[test]
    fn forms() {
        assert_eq!(Pins::new(Pin::Off, 1).check(&[]), None);
        let looping = Pins::new(Pin::Loop, 1);
        let cookie = looping.check(&[]).unwrap().cookies.remove(0);
        assert!(looping.check(&[cookie.as_str()]).is_some());
        let once = Pins::new(Pin::Cookie, 1);
        let cookie = once.check(&[]).unwrap().cookies.remove(0);
        assert_eq!(once.check(&[cookie.as_str()]), None);
        once.expire();
        assert!(once.check(&[cookie.as_str()]).is_some());
    }
}
