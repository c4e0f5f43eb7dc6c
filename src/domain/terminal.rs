//! Places where footage is watched: a name, and the addresses that requests from there come from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A place as the site's configuration names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terminal {
    pub name: String,
    /// At least one.
    pub addresses: Vec<Network>,
}

impl Terminal {
    pub fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|network| network.contains(address))
    }
}

/// One address, or all that begin with the same bits (RFC 4632, RFC 4291).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    first: IpAddr,
    prefix_bits: u32,
}

/// A text that is no address and no network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "write an address such as \"192.0.2.7\", or a network such as \"192.0.2.0/28\" with no bits set behind its prefix"
)]
pub struct NotANetwork;

/// The bits of an address at the left end of 128.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn mask(prefix_bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - prefix_bits).unwrap_or(0)
}

impl Network {
    /// Whether an address belongs to it. An IPv4 address that arrives as one of IPv6 is the IPv4 address.
    pub fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && (bits(address) ^ bits(self.first)) & mask(self.prefix_bits) == 0
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let first: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        if first.to_canonical() != first {
            return Err(NotANetwork);
        }
        let longest = if first.is_ipv4() { 32 } else { 128 };
        let is_plain = |prefix: &str| prefix.bytes().all(|c| c.is_ascii_digit());
        let prefix_bits = match prefix {
            None => longest,
            Some(prefix) if is_plain(prefix) => prefix.parse().map_err(|_| NotANetwork)?,
            Some(_) => return Err(NotANetwork),
        };
        let is_one = prefix_bits <= longest && bits(first) & !mask(prefix_bits) == 0;
        is_one.then_some(Self { first, prefix_bits }).ok_or(NotANetwork)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_a_network_by_its_first_bits_alone() {
        let table = [
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("192.0.2.0/28", "192.0.2.15", true),
            ("192.0.2.0/28", "192.0.2.16", false),
            ("192.0.2.0/28", "::ffff:192.0.2.3", true),
            ("0.0.0.0/0", "255.255.255.255", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "10.0.0.1", false),
            ("fd00:1::/32", "fd00:1:ffff::9", true),
            ("fd00:1::/32", "fd00:2::", false),
            ("::1", "::1", true),
            ("::1", "127.0.0.1", false),
        ];
        for (network, address, belongs) in table {
            let network: Network = network.parse().unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), belongs, "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in [
            "",
            "clinic",
            "192.0.2.1/28",
            "192.0.2.0/33",
            "192.0.2.0/+8",
            "192.0.2.0/",
            "::ffff:192.0.2.1",
            "::/129",
            "/8",
        ] {
            assert_eq!(wrong.parse::<Network>(), Err(NotANetwork), "{wrong}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }
}
