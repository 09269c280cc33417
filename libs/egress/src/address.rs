//! Which addresses anybody may be sent to: those that are global by IANA's registries of special addresses, less
//! what some clouds use of them for themselves.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A block of addresses, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    first: IpAddr,
    bits: u8,
}

impl Block {
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                within(first.to_bits().into(), address.to_bits().into(), 32 - self.bits)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                within(first.to_bits(), address.to_bits(), 128 - self.bits)
            }
            _ => false,
        }
    }
}

/// Whether two addresses differ in their last `host_bits` bits alone.
fn within(first: u128, address: u128, host_bits: u8) -> bool {
    (first ^ address).checked_shr(host_bits.into()).unwrap_or_default() == 0
}

impl FromStr for Block {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "must be a block of addresses, such as 10.0.0.0/8";
        let (first, bits) = match text.split_once('/') {
            Some((first, bits)) => (first, Some(bits.parse().map_err(|_| RULE)?)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().map_err(|_| RULE)?;
        let bits_max = if first.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(bits_max);
        if bits > bits_max {
            return Err(RULE);
        }
        Ok(Self { first, bits })
    }
}

/// Whether an address is somebody's on the Internet.
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

/// Blocks of IPv4 that are nobody's on the Internet.
const SPECIAL_V4: [(Ipv4Addr, u8); 17] = [
    // "This network"; 0.0.0.0 reaches this machine.
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    // Shared by customers of a provider; some clouds have their metadata there.
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local; most clouds have their metadata there.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    // Protocols' own; Oracle has its metadata there.
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation.
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    // Relays of 6to4, and anycast for names of private addresses.
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    // Benchmarks.
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved, and broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// The host of a virtual machine in Azure, at an address that is global by the registries.
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

fn is_global_v4(address: Ipv4Addr) -> bool {
    let special = SPECIAL_V4.iter().any(|(first, bits)| {
        Block { first: IpAddr::V4(*first), bits: *bits }.contains(IpAddr::V4(address))
    });
    !special && address != AZURE_HOST
}

/// All that is global is within `2000::/3`, but not all of that is: blocks of it that are nobody's, or that have an
/// address of IPv4 within, which the machine on the way would be asked for.
const SPECIAL_V6: [(Ipv6Addr, u8); 6] = [
    // Protocols' own: Teredo, benchmarks, ORCHID.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    // 6to4.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    // Anycast for names of private addresses.
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    // What was the 6bone.
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16),
];

fn is_global_v6(address: Ipv6Addr) -> bool {
    let block = |first, bits| Block { first: IpAddr::V6(first), bits };
    let is_in = |block: Block| block.contains(IpAddr::V6(address));
    is_in(block(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3))
        && !SPECIAL_V6.iter().any(|(first, bits)| is_in(block(*first, *bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_own_addresses_and_no_others() {
        let block: Block = "10.1.0.0/16".parse().unwrap();
        let has = |text: &str| block.contains(text.parse().unwrap());
        assert!(has("10.1.0.0") && has("10.1.255.255"));
        assert!(!has("10.0.255.255") && !has("10.2.0.0") && !has("::ffff:10.1.0.1"));
        assert_eq!("::1".parse(), Ok(Block { first: "::1".parse().unwrap(), bits: 128 }));
        let all: Block = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("255.1.2.3".parse().unwrap()));
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "a/8", "10.0.0.0/"] {
            assert!(wrong.parse::<Block>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_beside_a_special_block_is_global() {
        for global in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "168.63.129.17",
            "2606:4700:4700::1111",
            "2001:200::1",
            "2001:db9::1",
            "2003::1",
            "3fff:1000::1",
        ] {
            assert!(is_global(global.parse().unwrap()), "{global}");
        }
    }
}
