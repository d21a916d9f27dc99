use std::rc::Rc;

use pop_exchange::fetcher::{FetcherConfig, Input};

use crate::film::{Film, peer};
use crate::world::World;

/// Holders of enough columns that are cheap, and slow.
const CHEAP: usize = 7;

/// Play a film of which the faster holders are dear; useful payload of the dear ones, and of all.
fn play(dear_rank: u64) -> (u64, u64) {
    let film = Rc::new(Film::new(6, 10, 1024, 120, 1));
    let mut world =
        World::new(Rc::clone(&film), FetcherConfig::default(), 1).with_a_holder_a_column(60_000);
    world.holders[..CHEAP].iter_mut().for_each(|holder| holder.bytes_per_s = 4_000);
    world.connect_all();
    for holder in 0..film.content.layout().geometry().n() {
        let dear = usize::from(holder) >= CHEAP;
        let price_rank = if dear { dear_rank } else { 1 };
        world.view(Input::Price { peer: peer(holder.into()), price_rank });
    }
    world.play(0, 2_000, 1_000, 60);
    world.run_to_the_end(200_000);
    world.assert_deliveries_are_right();
    for (index, delivery) in &world.deliveries {
        assert!(delivery.at_ms <= 2_000 + index * 1_000, "segment {index}: {}", delivery.at_ms);
    }
    let received = |holders: &[crate::world::Holder]| -> u64 {
        holders.iter().filter_map(|holder| world.received.get(&holder.link)).sum()
    };
    (received(&world.holders[CHEAP..]), received(&world.holders))
}

#[test]
fn what_doesnt_hurry_comes_from_the_cheap_and_slow_in_time() {
    let (from_fast, all) = play(1);
    let (from_dear, of_all) = play(2);
    println!("{from_dear} of {of_all} bytes from the dear, {from_fast} of {all} at one price");
    assert!(from_dear * 3 < from_fast * 2, "{from_dear} of {of_all}, {from_fast} at one price");
}
