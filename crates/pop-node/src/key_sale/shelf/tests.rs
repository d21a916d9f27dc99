use std::os::unix::fs::PermissionsExt as _;

use pop_wire::{Digest, Keypair};

use super::*;

fn kept() -> KeptKey {
    let publisher = Keypair::from_secret_bytes(&[5; 32]).unwrap();
    let (key, salt) = (ContentKey::from_bytes([6; 32]), Digest([7; 32]));
    let digests = [Digest([8; 32]), salt, key.commitment(&salt)];
    let mut manifest = Manifest::new(publisher.peer_id(), 1_000, 64, (2, 4), digests);
    manifest.key_price = Amount::ONE_POP;
    KeptKey { key, manifest: Verified::sign(manifest, &publisher).unwrap() }
}

fn pending() -> PendingLock {
    let (lock, manifest) = (LockId([9; 32]), kept().manifest);
    let deadline = UnixTime(1_800_000_000);
    PendingLock { index: u64::MAX - 1, lock, amount: Amount::ONE_POP, deadline, manifest }
}

#[test]
fn what_is_kept_is_read_back_and_only_the_owner_can_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = Shelf::of(directory.path());
    let (kept, content) = (kept(), kept().manifest.content_id());
    assert!(shelf.on_sale().unwrap().is_empty() && shelf.sale(content).unwrap().is_none());
    shelf.put_on_sale(&kept).unwrap();
    shelf.put_on_sale(&kept).unwrap();
    assert_eq!(shelf.on_sale().unwrap(), [content]);
    let read = shelf.sale(content).unwrap().unwrap();
    assert_eq!(read.key.expose_secret(), kept.key.expose_secret());
    assert_eq!(read.manifest, kept.manifest);
    assert!(shelf.bought(content).unwrap().is_none(), "sold is not bought");

    shelf.put_pending(&pending()).unwrap();
    let mut again = pending();
    again.deadline = UnixTime(1_900_000_000);
    shelf.put_pending(&again).unwrap();
    let read = shelf.pending(content).unwrap().unwrap();
    assert_eq!((read.index, read.lock, read.amount), (again.index, again.lock, again.amount));
    assert_eq!((read.deadline, &read.manifest), (again.deadline, &kept.manifest));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&shelf.folder), 0o700);
    for entry in fs::read_dir(&shelf.folder).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    shelf.forget_pending(content).unwrap();
    shelf.forget_pending(content).unwrap();
    assert!(shelf.pending(content).unwrap().is_none());
}

#[test]
fn a_file_that_was_changed_is_refused_and_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = Shelf::of(directory.path());
    let (kept, content) = (kept(), kept().manifest.content_id());
    shelf.put_bought(&kept).unwrap();
    let path = shelf.path(content, Kind::Bought);
    let good = fs::read(&path).unwrap();
    let mut other_key = good.clone();
    other_key[0] ^= 1;
    let mut other_manifest = good.clone();
    *other_manifest.last_mut().unwrap() ^= 1;
    let too_long = [&good[..], &[0; ENVELOPE_BYTES_MAX]].concat();
    for bad in [&other_key[..], &other_manifest, &too_long, &good[..KEY_BYTES], &[]] {
        fs::write(&path, bad).unwrap();
        for error in [shelf.bought(content).map(drop), shelf.put_bought(&kept)] {
            let error = error.unwrap_err();
            assert!(matches!(&error, NodeError::KeySale(KeySaleError::Damaged { .. })), "{error}");
        }
        assert_eq!(fs::read(&path).unwrap(), bad);
    }
    let other = ContentId([1; 32]);
    fs::write(shelf.path(other, Kind::Bought), &good).unwrap();
    assert!(shelf.bought(other).unwrap_err().to_string().contains("another content"));
}
