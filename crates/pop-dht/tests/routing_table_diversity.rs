//! The filter in front of the routing table: 2 of a network per bucket, 10 per table.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod support;

use std::net::IpAddr;

use libp2p::Multiaddr;
use pop_dht::{Behaviour, Config, DiversityConfig, NetworkGroup, RoutingRefusal};
use support::{NOW, peer};

fn group(address: &str) -> NetworkGroup {
    NetworkGroup::of_address(&address.parse().unwrap())
}

fn v4(third: u8) -> NetworkGroup {
    NetworkGroup::V4([80, 1, third])
}

#[test]
fn addresses_of_one_24_or_48_are_one_group() {
    assert_eq!(group("/ip4/80.1.2.3/tcp/1"), group("/ip4/80.1.2.200/udp/9/quic-v1"));
    assert_ne!(group("/ip4/80.1.2.3/tcp/1"), group("/ip4/80.1.3.3/tcp/1"));
    assert_eq!(group("/ip6/2a00:1:2::1/tcp/1"), group("/ip6/2a00:1:2:ffff::9/tcp/1"));
    assert_ne!(group("/ip6/2a00:1:2::1/tcp/1"), group("/ip6/2a00:1:3::1/tcp/1"));
    let mapped: IpAddr = "::ffff:80.1.2.3".parse().unwrap();
    assert_eq!(NetworkGroup::of_ip(mapped), v4(2));
}

#[test]
fn local_and_hidden_addresses_have_groups_of_their_own() {
    for local in [
        "/ip4/127.0.0.1/tcp/1",
        "/ip4/10.1.2.3/tcp/1",
        "/ip4/192.168.7.7/tcp/1",
        "/ip4/169.254.1.1/tcp/1",
        "/ip6/::1/tcp/1",
        "/ip6/fd00::1/tcp/1",
        "/ip6/fe80::1/tcp/1",
        "/memory/7",
    ] {
        assert_eq!(group(local), NetworkGroup::Local, "{local}");
    }
    let id = libp2p::PeerId::random();
    let relayed = format!("/ip4/80.1.2.3/tcp/1/p2p/{id}/p2p-circuit");
    assert_eq!(group(&relayed), NetworkGroup::Unknown);
    assert_eq!(group("/dns4/pop.example/tcp/1"), NetworkGroup::Unknown);
    assert_eq!(NetworkGroup::of_address_bytes(&[0xff, 1, 2]), NetworkGroup::Unknown);
    let bytes = "/ip4/80.1.2.3/tcp/1".parse::<Multiaddr>().unwrap().to_vec();
    assert_eq!(NetworkGroup::of_address_bytes(&bytes), v4(2));
}

#[test]
fn the_third_of_a_network_does_not_get_into_a_bucket() {
    let config = DiversityConfig::default();
    let table = [(255, v4(1)), (255, v4(1)), (254, v4(1)), (255, v4(2))];
    assert_eq!(config.admit(table, 255, v4(1)), Err(RoutingRefusal::BucketGroupFull { max: 2 }));
    assert_eq!(config.admit(table, 254, v4(1)), Ok(()));
    assert_eq!(config.admit(table, 255, v4(2)), Ok(()));
}

#[test]
fn the_eleventh_of_a_network_does_not_get_into_the_table() {
    let config = DiversityConfig::default();
    let table: Vec<_> = (0..10).map(|bucket| (bucket, v4(1))).collect();
    let full = Err(RoutingRefusal::TableGroupFull { max: 10 });
    assert_eq!(config.admit(table.clone(), 99, v4(1)), full);
    assert_eq!(config.admit(table[1..].to_vec(), 99, v4(1)), Ok(()));
    assert_eq!(config.admit(table, 99, v4(2)), Ok(()));
}

#[test]
fn local_networks_are_limited_unless_they_are_exempt() {
    let mut config = DiversityConfig::default();
    let table = [(1, NetworkGroup::Local); 10];
    assert!(config.admit(table, 1, NetworkGroup::Local).is_err());
    config.loopback_exempt = true;
    assert_eq!(config.admit(table, 1, NetworkGroup::Local), Ok(()));
    assert!(config.admit([(1, NetworkGroup::Unknown); 2], 1, NetworkGroup::Unknown).is_err());
}

fn libp2p_id(number: u32) -> libp2p::PeerId {
    libp2p::PeerId::from_bytes(&peer(number).to_libp2p_bytes()).unwrap()
}

/// 2,000 ids of one /24, as a Sybil has them, and 100 of as many networks.
#[test]
fn a_sybil_with_one_network_gets_ten_places_in_the_table_whatever_it_tries() {
    let mut node = Behaviour::new(peer(0), NOW, Config::default());
    let sybils = (1..2_001).filter(|number| {
        let address = format!("/ip4/80.1.2.{}/tcp/{}", number % 256, 1_000 + number);
        node.add_peer(libp2p_id(*number), address.parse().unwrap()).is_ok()
    });
    assert_eq!(sybils.count(), 10);
    let honest = (3_000..3_100).filter(|number| {
        let address = format!("/ip4/90.{}.1.1/tcp/4001", number % 256);
        node.add_peer(libp2p_id(*number), address.parse().unwrap()).is_ok()
    });
    assert!(honest.count() > 50, "the others still get in, as far as their buckets have room");
}

#[test]
fn a_peer_has_at_most_eight_addresses_and_leaves_when_removed() {
    let mut node = Behaviour::new(peer(0), NOW, Config::default());
    let id = libp2p_id(1);
    let address = |port: u32| format!("/ip4/80.1.2.3/tcp/{port}").parse::<Multiaddr>().unwrap();
    for port in 1..9 {
        assert_eq!(node.add_peer(id, address(port)), Ok(()));
    }
    let full = Err(RoutingRefusal::TooManyAddresses { max: 8 });
    assert_eq!(node.add_peer(id, address(9)), full);
    assert_eq!(node.add_peer(id, address(3)), Ok(()), "known already");
    assert_eq!(node.closest_known_peers([0; 32], 10)[0].addresses.len(), 8);
    let elsewhere = address(1).with_p2p(libp2p_id(2)).unwrap();
    assert_eq!(node.add_peer(id, elsewhere), Err(RoutingRefusal::Address));
    assert_eq!(node.add_peer(libp2p_id(0), address(1)), Err(RoutingRefusal::Address));

    assert_eq!(node.known_peer_count(), 1);
    node.remove_peer(id);
    assert_eq!(node.known_peer_count(), 0);
    assert!(node.closest_known_peers([0; 32], 10).is_empty());
}
