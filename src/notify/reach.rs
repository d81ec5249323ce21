//! Which network addresses a message may be sent to: a webhook's address is a setting, and must not become a way to
//! reach what only the machine itself can reach (Standard Webhooks, "server side request forgery").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// The address of Azure's platform services inside a virtual network (Microsoft, "What is IP address 168.63.129.16?").
const AZURE_PLATFORM: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
/// The Instance Metadata Service, which hands out tokens (Microsoft, "Azure Instance Metadata Service").
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// What is allowed beyond public addresses. The platform's own addresses (metadata service) never are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reach {
    /// Private and link-local networks.
    pub private: bool,
    /// This machine itself; the only place where plain http is accepted.
    pub loopback: bool,
}

/// A name led to addresses that are not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host name leads to a private, local or reserved network address")]
pub struct Refused;

impl Reach {
    /// Whether an address may be connected to.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.allows_v4(v4),
            IpAddr::V6(v6) => match embedded(v6) {
                Some(v4) => self.allows_v4(v4),
                None if v6.is_loopback() => self.loopback,
                None if v6.is_unspecified() || v6.is_multicast() => false,
                None if v6.is_unique_local() || v6.is_unicast_link_local() || v6.segments()[0] & 0xffc0 == 0xfec0 => {
                    self.private
                }
                None => true,
            },
        }
    }

    fn allows_v4(self, v4: Ipv4Addr) -> bool {
        let [a, b, c, _] = v4.octets();
        if v4 == METADATA || v4 == AZURE_PLATFORM || a == 0 || a >= 224 {
            return false;
        }
        if v4.is_loopback() {
            return self.loopback;
        }
        let shared = a == 100 && (64..128).contains(&b);
        let special = (a == 192 && b == 0 && c == 0) || (a == 198 && (b == 18 || b == 19));
        self.private || !(v4.is_private() || v4.is_link_local() || shared || special)
    }

    /// Whether the host of a URL, if it is an address and no name, may be connected to. Names are checked when they
    /// are resolved.
    #[must_use]
    pub fn allows_host(self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Ipv4(v4)) => self.allows(v4.into()),
            Some(Host::Ipv6(v6)) => self.allows(v6.into()),
            Some(Host::Domain(_)) => true,
            None => false,
        }
    }
}

/// The IPv4 address inside an IPv6 one (mapped, compatible, translated or 6to4): it is what will be reached.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

/// Whether a URL leads to this machine by its looks: `localhost` or a loopback address.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(v4)) => v4.is_loopback(),
        Some(Host::Ipv6(v6)) => v6.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// Resolves names and lets only allowed addresses through, so that the address that was checked is the one that is
/// connected to.
#[derive(Debug, Clone, Copy)]
pub struct GuardedResolver(pub Reach);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str().to_owned(), 0)).await?;
            let allowed: Vec<_> = found.filter(|address| reach.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(reach: Reach, address: &str) -> bool {
        reach.allows(address.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_by_default() {
        let inside = [
            "10.0.0.4",
            "172.16.9.9",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.1.1",
            "fe80::1",
            "fd00::1",
            "fec0::1",
            "192.0.0.8",
            "198.18.0.1",
            "::ffff:10.0.0.4",
            "64:ff9b::a00:4",
            "2002:a00:4::1",
        ];
        for address in inside {
            assert!(!allows(Reach::default(), address), "{address}");
            assert!(allows(Reach { private: true, loopback: false }, address), "{address}");
        }
        for address in ["20.50.2.1", "2603:1020::1", "172.32.0.1", "100.128.0.1"] {
            assert!(allows(Reach::default(), address), "{address}");
        }
    }

    #[test]
    fn the_platforms_own_addresses_are_never_reached() {
        let all = Reach { private: true, loopback: true };
        for address in [
            "169.254.169.254",
            "168.63.129.16",
            "::ffff:169.254.169.254",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!allows(all, address), "{address}");
        }
        for address in ["127.0.0.1", "::1", "127.9.9.9"] {
            assert!(allows(all, address), "{address}");
            assert!(!allows(Reach { private: true, loopback: false }, address), "{address}");
        }
    }
}
