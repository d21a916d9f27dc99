//! Prints `spec/vectors/wire.json`: one key, what it signs, a frame of every message, and what must
//! be refused. After a change of the format:
//!
//! ```sh
//! cargo run -p examples --bin wire_vectors > target/wire.json && mv target/wire.json spec/vectors/
//! ```

mod frames;
mod protobuf;
mod records;
mod refused;

use pop_wire::{ContentId, Keypair, ProtocolVersion, VersionRange};
use serde_json::{Value, json};

/// The first account of the development mnemonic "test test … junk", which every Ethereum tool
/// knows. Never pay anything to it.
const SECRET: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

fn main() {
    println!("{:#}", vectors());
}

fn vectors() -> Value {
    let keypair = keypair();
    json!({
        "about": "Test vectors of spec/wire.md. Bytes and amounts are hex.",
        "identity": identity(&keypair),
        "content_id_text": content_id_text(),
        "signed": records::signed(&keypair),
        "bundle": records::bundle(&keypair),
        "evidence": records::evidence(&keypair),
        "frames": frames::frames(&keypair),
        "versions": versions(),
        "refused": refused::refused(&keypair),
    })
}

fn keypair() -> Keypair {
    let secret: [u8; 32] =
        hex::decode(SECRET).ok().and_then(|it| it.try_into().ok()).unwrap_or_default();
    Keypair::from_secret_bytes(&secret).expect("a well-known key")
}

fn identity(keypair: &Keypair) -> Value {
    let peer = keypair.peer_id();
    json!({
        "secret": SECRET,
        "public_key": hex::encode(peer.public_key()),
        "libp2p_bytes": hex::encode(peer.to_libp2p_bytes()),
        "peer_id": peer.to_string(),
        "wallet": peer.wallet_address().to_string(),
    })
}

fn content_id_text() -> Value {
    let id = ContentId(std::array::from_fn(|index| u8::try_from(index).unwrap_or(0)));
    json!({ "bytes": hex::encode(id.0), "text": id.to_string() })
}

/// Both sides' ranges, and the version they agree on; null where they can't.
fn versions() -> Value {
    let cases = [([1, 1], [1, 1]), ([1, 4], [2, 9]), ([2, 9], [1, 4]), ([1, 2], [3, 4])];
    let range = |[min, max]: [u16; 2]| {
        VersionRange::new(ProtocolVersion(min), ProtocolVersion(max)).expect("min <= max")
    };
    let case = |(ours, theirs)| {
        let agreed = range(ours).negotiate(&range(theirs)).ok().map(|version| version.0);
        json!({ "ours": ours, "theirs": theirs, "agreed": agreed })
    };
    cases.map(case).into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_vectors_in_spec_are_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/vectors/wire.json");
        let text = std::fs::read_to_string(path).expect("spec/vectors/wire.json");
        let stored: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(stored == super::vectors(), "stale: the head of this program says what to run");
    }
}
