//! Session pinning: which requests are answered with 307, and the cookies that make it stop.
//!
//! Invariant: a request with all cookies, unexpired, passes; attributes that a client sends back along with a cookie
//! (the Node client does) are ignored. Pure but for the expiry by command.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::config::Pin;

/// Cookie names, in the order in which they are set. `SRV` is the one in the Java client's tests.
const NAMES: [&str; 3] = ["SRV", "AFFINITY", "ua_route"];

/// Hands out and checks cookies.
#[derive(Debug)]
pub(super) struct Pins {
    form: Pin,
    cookies: usize,
    age: Option<Duration>,
    started: Instant,
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
    pub(super) fn new(form: Pin, cookies: u8, age: Option<Duration>) -> Self {
        let cookies = usize::from(cookies).clamp(1, NAMES.len());
        Self { form, cookies, age, started: Instant::now(), generation: AtomicU64::new(1) }
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
        let issued_ms = self.started.elapsed().as_millis();
        let generation = self.generation.load(Ordering::Acquire);
        let age = self.age.map(|age| format!("; Max-Age={}", age.as_secs())).unwrap_or_default();
        format!("{name}=host-7.{generation}.{issued_ms}; Path=/api{age}; HttpOnly")
    }

    fn is_good(&self, value: &str) -> bool {
        let mut parts = value.split('.').skip(1).map(|part| part.parse::<u64>().ok());
        let generation = parts.next().flatten();
        let issued = parts.next().flatten().map(Duration::from_millis);
        generation == Some(self.generation.load(Ordering::Acquire))
            && issued.is_some_and(|issued| self.age.is_none_or(|age| self.started.elapsed() < issued + age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(cookie: &str) -> &str {
        cookie.split(';').next().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn cookies_open_the_door_until_they_expire() {
        let pins = Pins::new(Pin::Location, 2, Some(Duration::from_secs(10)));
        let redirect = pins.check(&[]).unwrap();
        assert!(redirect.has_location);
        let [first, second] = &redirect.cookies[..] else { panic!("{redirect:?}") };
        let both = format!("{}; {}", pair(first), pair(second));
        assert_eq!(pins.check(&[both.as_str()]), None);
        assert_eq!(pins.check(&[first.as_str(), second.as_str()]), None);
        assert!(pins.check(&[pair(first)]).is_some());
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(pins.check(&[both.as_str()]).is_some());
    }

    #[tokio::test]
    async fn forms() {
        assert_eq!(Pins::new(Pin::Off, 1, None).check(&[]), None);
        let looping = Pins::new(Pin::Loop, 1, None);
        let cookie = looping.check(&[]).unwrap().cookies.remove(0);
        assert!(looping.check(&[cookie.as_str()]).is_some());
        let once = Pins::new(Pin::Cookie, 1, None);
        let cookie = once.check(&[]).unwrap().cookies.remove(0);
        assert_eq!(once.check(&[cookie.as_str()]), None);
        once.expire();
        assert!(once.check(&[cookie.as_str()]).is_some());
    }
}
