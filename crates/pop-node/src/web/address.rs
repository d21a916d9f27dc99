//! Where browsers reach this node, as multiaddrs.

use std::net::{IpAddr, SocketAddr};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// The addresses to announce for an endpoint that is bound to `bound`: its own, or those under
/// which the node listens for peers if it is bound to every address of the machine.
pub(super) fn announced(
    bound: SocketAddr,
    certhash: &Protocol<'static>,
    listening: &[Multiaddr],
) -> Vec<Multiaddr> {
    let mut addresses = Vec::new();
    if !bound.ip().is_unspecified() {
        addresses.push(bound.ip());
    } else {
        for ip in listening.iter().filter_map(ip_of) {
            // `::` takes connections to addresses of IPv4 as well.
            let reached = bound.is_ipv6() || ip.is_ipv4();
            if reached && !addresses.contains(&ip) {
                addresses.push(ip);
            }
        }
    }
    let both = |ip| [socket(ip, bound.port()), rtc(ip, bound.port(), certhash)];
    addresses.into_iter().flat_map(both).collect()
}

/// Whether only browsers' transports reach an address: no peer over libp2p need try it.
pub(crate) fn is_for_browsers(address: &Multiaddr) -> bool {
    address
        .iter()
        .any(|part| matches!(part, Protocol::Ws(_) | Protocol::Wss(_) | Protocol::WebRTCDirect))
}

/// The IP address with which an address begins.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

fn socket(ip: IpAddr, port: u16) -> Multiaddr {
    Multiaddr::from(ip).with(Protocol::Tcp(port)).with(Protocol::Ws("/".into()))
}

fn rtc(ip: IpAddr, port: u16, certhash: &Protocol<'static>) -> Multiaddr {
    let endpoint = Multiaddr::from(ip).with(Protocol::Udp(port)).with(Protocol::WebRTCDirect);
    endpoint.with(certhash.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced_for(bound: &str, listening: &[&str]) -> Vec<String> {
        let listening: Vec<Multiaddr> = listening.iter().map(|it| it.parse().unwrap()).collect();
        let hash = libp2p::multihash::Multihash::wrap(0x12, &[7; 32]).unwrap();
        let all = announced(bound.parse().unwrap(), &Protocol::Certhash(hash), &listening);
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_endpoint_on_every_address_is_announced_where_peers_are_heard() {
        let listening = [
            "/ip4/127.0.0.1/tcp/4700",
            "/ip4/192.0.2.1/tcp/4700",
            "/ip4/127.0.0.1/udp/4700/quic-v1",
            "/ip6/2001:db8::1/tcp/4700",
        ];
        let all = announced_for("0.0.0.0:4782", &listening);
        assert_eq!(all.len(), 4);
        assert_eq!(all[0], "/ip4/127.0.0.1/tcp/4782/ws");
        assert_eq!(all[2], "/ip4/192.0.2.1/tcp/4782/ws");
        let rtc = "/ip4/192.0.2.1/udp/4782/webrtc-direct/certhash/uEiAHBwcH";
        assert!(all[3].starts_with(rtc), "{all:?}");
        assert_eq!(announced_for("[::]:1", &listening)[4], "/ip6/2001:db8::1/tcp/1/ws");
        assert_eq!(announced_for("192.0.2.9:80", &listening)[0], "/ip4/192.0.2.9/tcp/80/ws");
        assert!(announced_for("0.0.0.0:4782", &[]).is_empty());
    }

    #[test]
    fn browsers_transports_are_told_from_others() {
        for (address, expected) in [
            ("/ip4/192.0.2.1/tcp/1", false),
            ("/ip4/192.0.2.1/udp/1/quic-v1", false),
            ("/ip4/192.0.2.1/tcp/1/ws", true),
            ("/dns/pop.example/tcp/443/tls/ws", true),
            ("/dns/pop.example/tcp/443/wss", true),
            ("/ip4/192.0.2.1/udp/1/webrtc-direct", true),
        ] {
            assert_eq!(is_for_browsers(&address.parse().unwrap()), expected, "{address}");
        }
    }
}
