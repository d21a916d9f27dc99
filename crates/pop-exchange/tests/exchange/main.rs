//! The machines in virtual time: one file a behaviour, over a seeded pair ([`pair`]) or a seeded
//! network ([`world`]).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::single_range_in_vec_init, reason = "what viewers hold is often one range")]

mod film;
mod pair;
mod trace;
mod world;

mod allowances_hold;
mod announcements;
mod any_operations;
mod audits;
mod eight_of_twenty_seven_sources_vanish;
mod liars_are_named_and_dropped;
mod limits_hold;
mod lookups;
mod payer_and_payee;
mod payments;
mod prices;
mod questions;
mod same_seed_same_trace;
mod shards_are_fetched;
mod slow_sources;
mod uploads;
mod viewers;
