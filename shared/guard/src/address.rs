//! Whom a request counts against when nobody has said who they are: the address that it came from.
//!
//! `X-Forwarded-For` is the client's to write, so it is never read. The CDN says whom it talks to in `X-Viewer-Address`; that is
//! believed if the secret that the CDN alone adds is there, for the gateway can be reached past it. Else the gateway's word counts.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;

const VIEWER_ADDRESS: &str = "x-viewer-address";
const ORIGIN_SECRET: &str = "x-origin-secret";

/// An address as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host, or those who share it.
    V4(Ipv4Addr),
    /// The first half of an IPv6 address: a customer has the second half for themselves, and could be a new host with each request.
    V6([u16; 4]),
    /// The host that we run on does not say.
    Unknown,
}

impl Address {
    /// The headers that [`Address::of_request`] reads.
    pub const HEADERS: [&str; 2] = [VIEWER_ADDRESS, ORIGIN_SECRET];

    /// An IPv4 address that comes as IPv6 is the IPv4 address; loopback is one, whichever its version.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(Ipv6Addr::LOCALHOST) => Self::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::V6([a, b, c, d])
            }
        }
    }

    /// Whether the caller is on this machine.
    pub fn is_loopback(self) -> bool {
        matches!(self, Self::V4(ip) if ip.is_loopback())
    }

    /// Where a request came from: `source_ip` is what the gateway saw, `secret` what the CDN adds (empty: there is no CDN).
    pub fn of_request(headers: &HeaderMap, source_ip: Option<&str>, secret: &str) -> Self {
        let viewer = if is_from_the_cdn(headers, secret) { viewer_address(headers) } else { None };
        viewer.or_else(|| source_ip?.trim().parse().ok()).map_or(Self::Unknown, Self::of)
    }
}

/// `203.0.113.7`, `2001:db8:1:2::/64`: stands in keys.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::V4(ip) => ip.fmt(formatter),
            Self::V6([a, b, c, d]) => write!(formatter, "{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)),
            Self::Unknown => formatter.write_str("unknown"),
        }
    }
}

/// Compared without telling, by the time that it takes, how much was right.
fn is_from_the_cdn(headers: &HeaderMap, secret: &str) -> bool {
    let Some(said) = headers.get(ORIGIN_SECRET) else { return false };
    !secret.is_empty() && verify_slices_are_equal(said.as_bytes(), secret.as_bytes()).is_ok()
}

fn viewer_address(headers: &HeaderMap) -> Option<IpAddr> {
    headers.get(VIEWER_ADDRESS)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECRET: &str = "what the CDN adds";

    fn headers(viewer: &str, secret: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(VIEWER_ADDRESS, viewer.parse().unwrap());
        headers.insert("x-forwarded-for", "198.51.100.1".parse().unwrap());
        if let Some(secret) = secret {
            headers.insert(ORIGIN_SECRET, secret.parse().unwrap());
        }
        headers
    }

    fn counted(viewer: &str, secret: Option<&str>) -> String {
        Address::of_request(&headers(viewer, secret), Some("203.0.113.7"), SECRET).to_string()
    }

    #[test]
    fn the_cdn_is_believed_with_the_secret_and_not_without() {
        assert_eq!(counted("192.0.2.1", Some(SECRET)), "192.0.2.1");
        for forged in [None, Some(""), Some("what the CDN add"), Some("what the CDN adds "), Some("What the CDN adds")] {
            // A header's value loses the blanks around it on the wire, not here.
            assert_eq!(counted("192.0.2.1", forged), "203.0.113.7", "{forged:?}");
        }
    }

    #[test]
    fn without_a_secret_of_our_own_no_secret_is_right() {
        for said in ["", "anything"] {
            let address = Address::of_request(&headers("192.0.2.1", Some(said)), Some("203.0.113.7"), "");
            assert_eq!(address.to_string(), "203.0.113.7", "{said:?}");
        }
    }

    #[test]
    fn an_ipv6_customer_is_counted_as_one() {
        for viewer in ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::9", "2001:0db8:0001:0002:0000:0000:0000:0001", " 2001:DB8:1:2::1 "] {
            assert_eq!(counted(viewer, Some(SECRET)), "2001:db8:1:2::/64", "{viewer}");
        }
        assert_eq!(counted("2001:db8:1:3::9", Some(SECRET)), "2001:db8:1:3::/64");
        assert_eq!(counted("::ffff:192.0.2.1", Some(SECRET)), "192.0.2.1");
    }

    #[test]
    fn what_is_no_address_falls_back_to_the_gateways_word() {
        for viewer in ["", ":", "192.0.2", "192.0.2.1:443", "[2001:db8::1]", "fe80::1%eth0", "example.org", "192.0.2.1, 192.0.2.2"] {
            assert_eq!(counted(viewer, Some(SECRET)), "203.0.113.7", "{viewer}");
        }
        for source_ip in [None, Some(""), Some("test-invoke-source-ip")] {
            assert_eq!(Address::of_request(&HeaderMap::new(), source_ip, SECRET), Address::Unknown);
        }
    }

    #[test]
    fn this_machine_is_one_address() {
        for loopback in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let address = Address::of(loopback.parse().unwrap());
            assert!(address.is_loopback() && address.to_string() == "127.0.0.1", "{loopback}");
        }
        for other in ["::2", "10.0.0.1", "fe80::1"] {
            assert!(!Address::of(other.parse().unwrap()).is_loopback(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_address_that_the_cdn_writes_is_read(bits: u128, v4: u32) {
            let (v6, v4) = (Ipv6Addr::from(bits), Ipv4Addr::from(v4));
            let long = v6.segments().map(|segment| format!("{segment:04x}")).join(":");
            for text in [v6.to_string(), long] {
                let address = Address::of_request(&headers(&text, Some(SECRET)), None, SECRET);
                prop_assert_eq!(address, Address::of(v6.into()), "{}", text);
            }
            let address = Address::of_request(&headers(&v4.to_string(), Some(SECRET)), None, SECRET);
            prop_assert_eq!(address, Address::V4(v4));
        }

        #[test]
        fn two_ipv6_addresses_count_as_one_if_their_first_halves_are_the_same(own: u64, network: u64, host: u64, other: u64) {
            // In the range that providers give out: neither loopback nor IPv4 in disguise.
            let ip = |network: u64, host: u64| {
                Address::of(Ipv6Addr::from((0x2 << 124) | (u128::from(network) >> 4 << 64) | u128::from(host)).into())
            };
            prop_assert_eq!(ip(own, other), ip(own, host));
            prop_assert_eq!(ip(own, host) == ip(network, host), own >> 4 == network >> 4);
        }

        #[test]
        fn whatever_stands_in_the_headers_something_is_counted(viewer in "[ -~]{0,60}", source in "[ -~]{0,40}") {
            let address = Address::of_request(&headers(&viewer, Some(SECRET)), Some(&source), SECRET).to_string();
            prop_assert!(!address.is_empty() && !address.contains('#'));
        }
    }
}
