//! Where somebody comes from, for bounds on what one origin may have.

use std::net::{IpAddr, Ipv6Addr};

/// The part of an IPv6 address that its owner does not choose.
const NETWORK: u128 = !(u64::MAX as u128);

/// The address, or its network of 64 bits in IPv6: who has one address there has all of them.
pub(crate) const fn of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & NETWORK)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_origin_and_an_address_of_ipv4_is_its_own() {
        let origin = |ip: &str| of(ip.parse().expect("an address"));
        assert_eq!(
            origin("2001:db8:1:2::1"),
            origin("2001:db8:1:2:ffff:ffff:ffff:ffff")
        );
        assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
        assert_ne!(origin("10.0.0.1"), origin("10.0.0.2"));
        assert_eq!(origin("::ffff:10.0.0.1"), origin("10.0.0.1"));
    }
}
