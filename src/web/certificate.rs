//! When a certificate expires: the one field of X.509 that is looked at, read from its DER.
//!
//! Invariant: whatever the bytes are, there is no panic; what is not understood has no expiry. Nothing is verified here.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Tags of DER, as X.509 uses them.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// What stands before the validity of a certificate, after its version: serial number, algorithm, issuer.
const BEFORE_VALIDITY: usize = 3;

/// No certificate needs more bytes to say how long something in it is.
const MOST_LENGTH_BYTES: usize = 4;

/// When the first certificate of a chain in PEM form expires, seconds since the Unix epoch: that of the server, of the client or
/// of those above them.
pub(crate) fn expires(pem: &[u8]) -> Option<i64> {
    let chain = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    chain.filter_map(|certificate| not_after(&certificate)).min()
}

/// When a certificate expires, seconds since the Unix epoch.
fn not_after(der: &[u8]) -> Option<i64> {
    let (_, certificate, _) = element(der)?;
    let (_, mut rest, _) = element(certificate)?;
    // Certificates of version 1 do not say so.
    let (tag, _, behind) = element(rest)?;
    if tag == VERSION {
        rest = behind;
    }
    for _ in 0..BEFORE_VALIDITY {
        (_, _, rest) = element(rest)?;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, not_after) = element(validity)?;
    let (tag, text, _) = element(not_after)?;
    time(tag, text)
}

/// The first element: its tag, what it holds, and what is behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(first) {
        short @ ..0x80 => (short, rest),
        long => {
            let count = long - 0x80;
            let (length, rest) = rest.split_at_checked(count).filter(|_| count <= MOST_LENGTH_BYTES)?;
            (length.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ`, of 1950 to 2049, or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let digits = text.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let digits = std::str::from_utf8(digits).ok()?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = digits.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { year + 2000 } else { year + 1900 }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = digits.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let at = DateTime::new(year, part(0)?, part(2)?, part(4)?, part(6)?, part(8)?, 0).ok()?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Made by `openssl req -x509`; its time has two digits for the year.
    const OF_2031: &str = "-----BEGIN CERTIFICATE-----
MIIBbTCCAROgAwIBAgIUEjz1NtnKSvzHyaj+WuPtJWifDx4wCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAeFw0yNjExMjYyMTA5MDdaFw0zMTAzMDEyMTA5MDdaMAwx
CjAIBgNVBAMMAWEwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATqBGbNs++3m3nU
VYyVHoNfFpvOFeN355Ud4sOQoWJwfn6x4H02SeUSwn/FOa5gFx2TK+AHOhFeTEkU
JOWUrHabo1MwUTAdBgNVHQ4EFgQUQO41r1G0FcHl4BOXO04GPdRbGS0wHwYDVR0j
BBgwFoAUQO41r1G0FcHl4BOXO04GPdRbGS0wDwYDVR0TAQH/BAUwAwEB/zAKBggq
hkjOPQQDAgNIADBFAiBW9NRYPdflF776PNvwclgOEBAoZwzt/U8rEQR16jTz4QIh
AK22PsG+M0Q7lTEKzYnrNWT09sYHXU2IArMmTF0rWK5Y
-----END CERTIFICATE-----
";

    /// The same with four digits.
    const OF_2055: &str = "-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUP7Ra2wmNT2LT3RRBdR1o1iRfOZEwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBYTAgFw0yNjExMjYyMTA5MDdaGA8yMDU1MDMwMTIxMDkwN1ow
DDEKMAgGA1UEAwwBYTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLszOxEnnwTd
nlAiy7QKXoSEy6Pt8gsFJ68dMvsP3bPV0Wg0Xe7wiLi0dQV7aUYYjP/8VaZZ6eJQ
Cr13j6XTkbyjUzBRMB0GA1UdDgQWBBTIM0NEx/7m2EA14gtZ1jmKnFqR0TAfBgNV
HSMEGDAWgBTIM0NEx/7m2EA14gtZ1jmKnFqR0TAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIAzi6JIfVTg6r8nwWS5oNemfXX3+F4hqaBm6X7LSwaX7
AiEAskrAgLEjnfPgDN2FRX4kd+mFUtR0u17Wub5Zm2LiA0M=
-----END CERTIFICATE-----
";

    /// The year 10000.
    const END: i64 = 253_402_300_800;

    #[test]
    fn the_first_certificate_to_expire_counts() {
        assert_eq!(expires(OF_2031.as_bytes()), Some(1_930_165_747));
        assert_eq!(expires(OF_2055.as_bytes()), Some(2_687_548_147));
        assert_eq!(expires(format!("{OF_2055}{OF_2031}").as_bytes()), Some(1_930_165_747));
        assert_eq!(expires(b"no certificate"), None);
    }

    #[test]
    fn times_are_those_of_x509() {
        assert_eq!(time(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(time(UTC_TIME, b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(time(GENERALIZED_TIME, b"20500101000000Z"), Some(2_524_608_000));
        for wrong in ["", "Z", "491231235959", "4912312359Z", "491331000000Z", "+91231235959Z"] {
            assert_eq!(time(UTC_TIME, wrong.as_bytes()), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_no_certificate_has_no_expiry(bytes: Vec<u8>) {
            prop_assert!(not_after(&bytes).is_none_or(|at| at < END));
        }

        #[test]
        fn a_damaged_certificate_is_no_panic(at in 0_usize..360, byte: u8) {
            let certificate = CertificateDer::from_pem_slice(OF_2031.as_bytes()).unwrap();
            let mut der = certificate.to_vec();
            der[at] = byte;
            prop_assert!(not_after(&der).is_none_or(|at| at < END));
        }
    }
}
