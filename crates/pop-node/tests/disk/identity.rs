//! The node's secret key on disk.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use pop_node::disk::{StoreError, create_identity, load_identity};

#[test]
fn an_identity_is_read_back_and_only_its_owner_can_read_it() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("node");
    let created = create_identity(&data_dir).unwrap();
    let loaded = load_identity(&data_dir).unwrap();
    assert_eq!(created.peer_id(), loaded.peer_id());
    let path = data_dir.join("identity.key");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn two_identities_differ() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = create_identity(one.path()).unwrap();
    let two = create_identity(two.path()).unwrap();
    assert_ne!(one.peer_id(), two.peer_id());
}

#[test]
fn an_identity_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let created = create_identity(directory.path()).unwrap();
    let again = create_identity(directory.path());
    assert!(matches!(again, Err(StoreError::IdentityExists { .. })), "{again:?}");
    assert_eq!(load_identity(directory.path()).unwrap().peer_id(), created.peer_id());
}

#[test]
fn an_identity_that_others_can_read_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    create_identity(directory.path()).unwrap();
    let path = directory.path().join("identity.key");
    for mode in [0o640, 0o604, 0o666, 0o610] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let refused = load_identity(directory.path()).unwrap_err();
        assert!(matches!(refused, StoreError::LooseMode { .. }), "{refused:?}");
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    load_identity(directory.path()).unwrap();
}

#[test]
fn what_is_no_key_is_refused_and_never_printed() {
    let directory = tempfile::tempdir().unwrap();
    let missing = load_identity(directory.path()).unwrap_err();
    assert!(matches!(missing, StoreError::NoIdentity { .. }), "{missing:?}");
    assert!(missing.to_string().contains("pop-node init"), "{missing}");
    let path = directory.path().join("identity.key");
    let zero = "0".repeat(64);
    let over_order = "f".repeat(64);
    let long = "5e".repeat(5000);
    for text in ["", "5ec7e7", &zero, &over_order, &long, "\u{0}\u{ff}"] {
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let refused = load_identity(directory.path()).unwrap_err();
        assert!(matches!(refused, StoreError::BadIdentity { .. }), "{refused:?}");
        assert!(!refused.to_string().contains("5ec7e7"), "{refused}");
    }
}
