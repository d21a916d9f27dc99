//! A relay that is as full as it may be, in a process of its own.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use pop_signal::message::Attachment;
use pop_signal::relay::{Input, Rate, Relay, RelayConfig};
use pop_signal::topic::Topic;
use pop_signal::{LinkId, Prefix, RelayMessage, Rendezvous};
use pop_wire::{Instant, Keypair};

/// Of this process, in bytes.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

fn name(number: usize) -> [u8; 32] {
    // Spread, so that the maps are filled in no order.
    *blake3::hash(&number.to_be_bytes()).as_bytes()
}

#[test]
fn a_full_relay_takes_no_more_than_it_says() {
    let mut config = RelayConfig::default();
    let endless = u64::MAX / 4_000;
    let rate =
        Rate { messages_burst: endless, messages_per_s: 0, bytes_burst: endless, bytes_per_s: 0 };
    (config.prefix_rate, config.total_rate) = (rate, rate);
    let bound = config.memory_bytes_max();
    let me = Keypair::from_secret_bytes(&[1; 32]).unwrap().peer_id();
    let before = resident_bytes();
    let mut relay = Relay::new(me, config.clone(), [2; 32]);
    let now = Instant(0);
    for number in 0..config.prefixes_max {
        // Who was there a moment ago is remembered with what he may still send.
        let (link, household) = (LinkId(u64::MAX), u32::try_from(number).unwrap());
        let prefix = Prefix::V4(household.to_be_bytes());
        relay.handle(now, Input::ClientUp { link, prefix }).unwrap();
        relay.handle(now, Input::LinkDown { link }).unwrap();
    }
    for number in 0..config.clients_max {
        let link = LinkId(u64::try_from(number).unwrap());
        let household = u32::try_from(number / config.clients_per_prefix_max).unwrap();
        let prefix = Prefix::V4(household.to_be_bytes());
        relay.handle(now, Input::ClientUp { link, prefix }).unwrap();
        let each = config.rendezvous_max / config.clients_max;
        for at in 0..each {
            let rendezvous = Rendezvous(name(number * each + at));
            let message = RelayMessage::Attach { rendezvous, attachment: Attachment::Session };
            relay.handle(now, Input::Message { link, message }).unwrap();
        }
        for at in 0..config.topics_per_client_max {
            let topic = Topic(name((number * 8 + at * 2_051) % config.topics_max));
            relay
                .handle(now, Input::Message { link, message: RelayMessage::Join { topic } })
                .unwrap();
        }
    }
    assert_eq!(relay.poll(), None);
    let taken = resident_bytes().saturating_sub(before);
    let holdings = relay.holdings();
    println!("{taken} bytes of {bound} taken by {holdings:?}");
    assert_eq!(holdings.clients, config.clients_max);
    assert_eq!(holdings.prefixes, config.prefixes_max);
    assert_eq!(holdings.rendezvous, config.rendezvous_max);
    assert!(holdings.topics > config.topics_max / 2);
    assert!(taken <= bound, "{taken} bytes, {bound} promised");
    assert!(taken >= bound / 20, "{taken} bytes: the bound of {bound} would say nothing");
    assert!(bound <= 192 * 1024 * 1024, "{bound} bytes");
}
