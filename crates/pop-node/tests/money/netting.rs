//! Two masternodes that serve each other settle the difference only.

use futures::StreamExt as _;
use pop_erasure::ContentLink;
use pop_incentive::ledger::names::vault_id;
use pop_incentive::limits::STEP_BYTES_MAX;
use pop_node::Node;
use pop_node::fetch::Pace;
use pop_wire::{Amount, PeerId};

use crate::network::{FILM_BYTES, Network, pop, tariff, until};

/// Films that each fetches.
const FILMS: usize = 4;

/// They keep step, so that the balance swings by no more than this.
const PIECE_BYTES: usize = 200_000;

/// Bytes that `holder` served to `payer`.
fn served(holder: &Node, payer: PeerId) -> u64 {
    let earnings = holder.earnings().unwrap();
    earnings.iter().filter(|it| it.payer == payer).map(|it| it.bytes).sum()
}

fn price(bytes: u64) -> u128 {
    tariff().price(bytes).unwrap().base_units()
}

/// Base units that the ledger paid from one holder's vault to another.
async fn paid(network: &Network, from: usize, to: usize) -> u128 {
    let ledger = network.ledger();
    let owner = network.holders[from].peer_id().wallet_address();
    let vault = vault_id(&ledger.domain().await.unwrap(), owner, 0);
    let payee = network.holders[to].peer_id().wallet_address();
    ledger.redeemed(vault, payee, 0).await.unwrap().base_units()
}

/// Fetch one piece of the film.
async fn fetch_piece(network: &Network, holder: usize, link: &ContentLink, piece: usize) {
    let from = piece * PIECE_BYTES % network.film.len();
    let to = network.film.len().min(from + PIECE_BYTES);
    let content = network.holders[holder].open(link).await.unwrap();
    let pieces = content.read(from as u64..to as u64, Pace::Bulk).unwrap();
    let mut pieces = std::pin::pin!(pieces);
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    assert!(bytes == network.film[from..to]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_masternodes_that_serve_each_other_pay_the_difference_only() {
    let network = Network::start(4).await;
    let link = network.publish().await;
    for key in &network.keys[..2] {
        network.endow_wallet(key, pop(10)).await;
    }
    for piece in 0..FILMS * FILM_BYTES / PIECE_BYTES {
        let pieces = [0, 1].map(|holder| fetch_piece(&network, holder, &link, piece));
        futures::future::join_all(pieces).await;
    }
    let (a, b) = (&network.holders[0], &network.holders[1]);
    until("what one paid more than the other is what it got more", async || {
        let got = price(served(b, a.peer_id())).cast_signed();
        let gave = price(served(a, b.peer_id())).cast_signed();
        let (out, back) = (paid(&network, 0, 1).await, paid(&network, 1, 0).await);
        println!("got for {got}, gave for {gave}; paid {out}, was paid {back}");
        got > 0 && gave > 0 && out.cast_signed() - back.cast_signed() == got - gave
    })
    .await;
    let (got, gave) = (price(served(b, a.peer_id())), price(served(a, b.peer_id())));
    let paid_in_all = paid(&network, 0, 1).await + paid(&network, 1, 0).await;
    // Who is ahead changes, and what was paid then is paid back.
    let to_and_fro = paid_in_all - got.abs_diff(gave);
    let evened_out = 2 * got.min(gave);
    println!("{to_and_fro} paid to and fro of {evened_out} that each gave for what it got");
    assert!(to_and_fro < evened_out / 2, "{to_and_fro} paid to and fro of {evened_out}");
    // The others, which fetched nothing, are paid for all; a step ahead may not have been used.
    let step = price(STEP_BYTES_MAX);
    for (other, payer) in [(2, 0), (2, 1), (3, 0), (3, 1)] {
        let peer = network.holders[payer].peer_id();
        until("who only serves is paid all", async || {
            let due = price(served(&network.holders[other], peer));
            due > 0 && (due..=due + step).contains(&paid(&network, payer, other).await)
        })
        .await;
    }
    assert_eq!(network.earned(&network.keeper).await, Amount::ZERO);
}
