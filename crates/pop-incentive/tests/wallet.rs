//! The wallet: what other programs wrote is read, what it writes they can read, and no file makes
//! it panic, compute for long or give out another key.
#![cfg(feature = "wallet")]

use data_encoding::HEXLOWER;
use pop_incentive::wallet::{
    DerivationError, Keystore, KeystoreError, Mnemonic, MnemonicError, Passphrase, Role,
    ScryptParameters, limits,
};
use pop_wire::{Bound, Keypair};
use proptest::prelude::*;
use serde_json::{Value, json};

const JUNK: &str = "test test test test test test test test test test test junk";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text.to_owned())
}

fn cheap() -> ScryptParameters {
    ScryptParameters::new(2, 8, 1).expect("far below every limit")
}

fn keypair() -> Keypair {
    Keypair::from_secret_bytes(&[0x42; 32]).expect("below the order of the curve")
}

fn keystore() -> Keystore {
    Keystore::encrypt(&keypair(), &passphrase("right"), cheap(), &[7; 64])
}

/// A file as it should be, to be spoilt field by field.
fn file() -> Value {
    serde_json::from_str(&keystore().to_json()).expect("JSON")
}

fn read(file: &Value) -> Result<Keystore, KeystoreError> {
    Keystore::from_json(file.to_string().as_bytes())
}

fn refusal(file: &Value) -> KeystoreError {
    read(file).expect_err("the file should be refused")
}

/// The refusal of a file with one other value at a JSON pointer.
fn refusal_with(pointer: &str, value: Value) -> KeystoreError {
    let mut file = file();
    *file.pointer_mut(pointer).expect("the field is there") = value;
    refusal(&file)
}

fn pbkdf2(iterations: Value, prf: &str) -> Value {
    let mut file = file();
    file["crypto"]["kdf"] = json!("pbkdf2");
    file["crypto"]["kdfparams"] =
        json!({"c": iterations, "dklen": 32, "prf": prf, "salt": "00".repeat(32)});
    file
}

#[test]
fn keystores_of_geths_test_suite_give_up_their_keys() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/keystore.json")).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 5);
    for vector in vectors {
        let name = &vector["name"];
        let keystore = read(&vector["file"]).unwrap();
        let right = passphrase(vector["password"].as_str().unwrap());
        let keypair = keystore.decrypt(&right).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Some(secret) = vector["secret"].as_str() {
            assert_eq!(HEXLOWER.encode(keypair.secret_bytes().as_slice()), secret, "{name}");
        }
        // Written again, it is the same file.
        let again: Value = serde_json::from_str(&keystore.to_json()).unwrap();
        assert_eq!(again, vector["file"], "{name}");
    }
}

#[test]
fn the_same_key_and_randomness_give_the_file_that_geth_wrote() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/keystore.json")).unwrap();
    let vector = vectors["vectors"].as_array().unwrap().last().unwrap();
    let file = &vector["file"];
    let password = passphrase(vector["password"].as_str().unwrap());
    let keypair = read(file).unwrap().decrypt(&password).unwrap();
    let randomness = [
        file["crypto"]["kdfparams"]["salt"].as_str().unwrap(),
        file["crypto"]["cipherparams"]["iv"].as_str().unwrap(),
        &file["id"].as_str().unwrap().replace('-', ""),
    ]
    .concat();
    let randomness = HEXLOWER.decode(randomness.as_bytes()).unwrap().try_into().unwrap();
    let written = Keystore::encrypt(&keypair, &password, cheap(), &randomness).to_json();
    assert_eq!(&serde_json::from_str::<Value>(&written).unwrap(), file);
}

#[test]
fn the_standard_cost_is_geths() {
    let (standard, light) = (ScryptParameters::default(), ScryptParameters::LIGHT);
    assert_eq!((standard.n(), standard.r(), standard.p()), (262_144, 8, 1));
    assert_eq!((light.n(), light.r(), light.p()), (4096, 8, 6));
    for constant in [standard, light] {
        let (n, r, p) = (constant.n(), constant.r().into(), constant.p().into());
        assert_eq!(ScryptParameters::new(n, r, p), Ok(constant));
    }
}

#[test]
fn a_written_keystore_has_the_form_of_version_3() {
    let text = keystore().to_json();
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["version"], 3);
    assert_eq!(file["address"], HEXLOWER.encode(&keypair().peer_id().wallet_address().0));
    assert_eq!(file["id"], "07070707-0707-4707-8707-070707070707", "a UUID, version 4");
    assert_eq!(file["crypto"]["cipher"], "aes-128-ctr");
    assert_eq!(file["crypto"]["cipherparams"]["iv"], "07".repeat(16));
    assert_eq!(file["crypto"]["kdf"], "scrypt");
    let parameters = json!({"dklen": 32, "n": 2, "p": 1, "r": 8, "salt": "07".repeat(32)});
    assert_eq!(file["crypto"]["kdfparams"], parameters);
    assert_eq!(file["crypto"]["ciphertext"].as_str().unwrap().len(), 64);
    assert_eq!(file["crypto"]["mac"].as_str().unwrap().len(), 64);
    assert!(!text.contains(&"42".repeat(4)));
}

#[test]
fn older_spellings_of_a_keystore_are_read() {
    let mut variant = file();
    let crypto = variant["crypto"].take();
    variant.as_object_mut().unwrap().remove("crypto");
    variant["Crypto"] = crypto;
    variant["id"] = Value::Null;
    let address = keypair().peer_id().wallet_address();
    let upper = HEXLOWER.encode(&address.0).to_uppercase();
    for address in [json!(address.to_string()), json!(upper), json!(""), Value::Null] {
        variant["address"] = address;
        let keypair = read(&variant).unwrap().decrypt(&passphrase("right")).unwrap();
        assert_eq!(keypair.peer_id(), self::keypair().peer_id());
    }
    // Wanted longer, a derived key starts with the same 32 bytes.
    variant["crypto"] = variant["Crypto"].take();
    variant["crypto"]["kdfparams"]["dklen"] = json!(64);
    assert!(read(&variant).unwrap().decrypt(&passphrase("right")).is_ok());
}

#[test]
fn a_wrong_passphrase_opens_nothing() {
    for wrong in ["", "Right", "right ", "right\n", "wrong"] {
        let error = keystore().decrypt(&passphrase(wrong)).unwrap_err();
        assert_eq!(error, KeystoreError::Unlock);
        let shown = error.to_string();
        assert!(shown.contains("passphrase is wrong or the file is damaged"), "{shown}");
    }
}

#[test]
fn a_keystore_damaged_at_any_byte_never_panics_nor_gives_another_key() {
    let text = keystore().to_json().into_bytes();
    let (right, secret) = (passphrase("right"), keypair().secret_bytes());
    let [mut refused, mut locked, mut harmless] = [0_u32; 3];
    let mut check = |damaged: &[u8]| match Keystore::from_json(damaged) {
        Err(_) => refused += 1,
        Ok(keystore) => match keystore.decrypt(&right) {
            Err(_) => locked += 1,
            // An id, a label that is gone: nothing that makes another key.
            Ok(keypair) => {
                assert_eq!(keypair.secret_bytes(), secret);
                harmless += 1;
            }
        },
    };
    for at in 0..text.len() {
        for other in [text[at] ^ 1, text[at] ^ 0x20, text[at] ^ 0x80, 0, b'"', b'}', b'0', b'9'] {
            let mut damaged = text.clone();
            damaged[at] = other;
            check(&damaged);
        }
        check(&text[..at]);
        check(&text[at + 1..]);
        check(&[&text[..at], &text[at + 1..]].concat());
    }
    println!("{refused} refused, {locked} locked, {harmless} harmless");
    assert!(refused > 0 && locked > 0 && harmless > 0);
}

/// None of these allocates or computes: they are refused while the file is read.
#[test]
fn hostile_scrypt_parameters_are_refused_before_anything_is_allocated() {
    let range =
        |field, min, max, got| KeystoreError::Range { field, expected: Bound { min, max }, got };
    let (n, r) = ("crypto.kdfparams.n", "crypto.kdfparams.r");
    let (p, length) = ("crypto.kdfparams.p", "crypto.kdfparams.dklen");
    for (pointer, field, min, max) in [
        ("/crypto/kdfparams/n", n, 2, limits::SCRYPT_N_MAX),
        ("/crypto/kdfparams/r", r, 1, limits::SCRYPT_R_MAX),
        ("/crypto/kdfparams/p", p, 1, limits::SCRYPT_P_MAX),
        ("/crypto/kdfparams/dklen", length, 32, 64),
    ] {
        for got in [0, min - 1, max + 1, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(refusal_with(pointer, json!(got)), range(field, min, max, got));
        }
        for value in [json!(-1), json!(2.5), json!("2"), json!(null), json!([2]), json!(1e300)] {
            assert!(matches!(
                refusal_with(pointer, value),
                KeystoreError::Field { field: blamed, .. } if blamed == field
            ));
        }
    }
    for got in [3, 6, limits::SCRYPT_N_MAX - 1] {
        let error = refusal_with("/crypto/kdfparams/n", json!(got));
        assert_eq!(error, KeystoreError::NotPowerOfTwo { got });
    }
}

#[test]
fn scrypt_parameters_are_refused_for_what_they_cost_together() {
    // Each of the three is within its own range.
    let (n, r, p) = (limits::SCRYPT_N_MAX, limits::SCRYPT_R_MAX, limits::SCRYPT_P_MAX);
    for (n, r, p, memory) in [(n, r, p, 128 * r * (n + p + 1)), (n, 2, 1, 256 * (n + 2))] {
        let max = limits::SCRYPT_MEMORY_BYTES_MAX;
        let expected = KeystoreError::TooDear { unit: "bytes of memory", max, got: memory };
        assert_eq!(ScryptParameters::new(n, r, p), Err(expected));
    }
    let got = (1 << 18) * 8 * 5;
    let max = limits::SCRYPT_WORK_MAX;
    let expected = KeystoreError::TooDear { unit: "block mixes", max, got };
    assert_eq!(ScryptParameters::new(1 << 18, 8, 5), Err(expected));
    // The most that is read.
    assert!(ScryptParameters::new(1 << 19, 8, 2).is_ok());
    assert!(ScryptParameters::new(n, 1, 2).is_ok());
    assert!(ScryptParameters::new(1 << 18, 8, 4).is_ok());
}

#[test]
fn hostile_pbkdf2_parameters_are_refused() {
    let field = "crypto.kdfparams.c";
    let max = limits::PBKDF2_ITERATIONS_MAX;
    for got in [0, max + 1, u64::MAX] {
        let expected = KeystoreError::Range { field, expected: Bound { min: 1, max }, got };
        assert_eq!(refusal(&pbkdf2(json!(got), "hmac-sha256")), expected);
    }
    assert!(matches!(
        refusal(&pbkdf2(json!(1000), "hmac-md5")),
        KeystoreError::Unsupported { field: "crypto.kdfparams.prf", .. }
    ));
    assert!(read(&pbkdf2(json!(max), "hmac-sha256")).is_ok());
}

#[test]
fn what_this_program_cannot_read_is_named() {
    for (pointer, field, value, got) in [
        ("/version", "version", json!(1), "1"),
        ("/version", "version", json!("1"), "1"),
        ("/version", "version", json!(4), "4"),
        ("/crypto/kdf", "crypto.kdf", json!("argon2id"), "argon2id"),
        ("/crypto/cipher", "crypto.cipher", json!("aes-128-cbc"), "aes-128-cbc"),
        ("/crypto/kdf", "crypto.kdf", json!("x".repeat(9999)), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ] {
        let error = refusal_with(pointer, value);
        assert!(error.to_string().contains("export the key as version 3"), "{error}");
        match error {
            KeystoreError::Unsupported { field: blamed, got: quoted, .. } => {
                assert_eq!((blamed, quoted.as_str()), (field, got));
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_field_that_is_missing_or_of_another_shape_is_named() {
    for (pointer, field) in [
        ("/version", "version"),
        ("/address", "address"),
        ("/crypto", "crypto"),
        ("/crypto/cipher", "crypto.cipher"),
        ("/crypto/ciphertext", "crypto.ciphertext"),
        ("/crypto/cipherparams", "crypto.cipherparams.iv"),
        ("/crypto/cipherparams/iv", "crypto.cipherparams.iv"),
        ("/crypto/kdf", "crypto.kdf"),
        ("/crypto/kdfparams", "crypto.kdfparams.n"),
        ("/crypto/kdfparams/salt", "crypto.kdfparams.salt"),
        ("/crypto/mac", "crypto.mac"),
    ] {
        match refusal_with(pointer, json!(true)) {
            KeystoreError::Field { field: blamed, .. } => assert_eq!(blamed, field),
            other => panic!("{pointer}: {other}"),
        }
    }
    for (pointer, text) in [
        ("/crypto/ciphertext", String::new()),
        ("/crypto/ciphertext", "00".repeat(33)),
        ("/crypto/mac", "00".repeat(31)),
        ("/crypto/mac", "0".repeat(63)),
        ("/crypto/cipherparams/iv", "00".repeat(17)),
        ("/crypto/cipherparams/iv", "gg".repeat(16)),
        ("/crypto/kdfparams/salt", String::new()),
        ("/crypto/kdfparams/salt", "00".repeat(limits::SALT_BYTES_MAX + 1)),
        ("/address", "00".repeat(19)),
        ("/address", "0xF39fd6e51aad88F6F4ce6aB8827279cffFb92266".to_owned()),
    ] {
        let error = refusal_with(pointer, json!(text));
        assert!(matches!(error, KeystoreError::Field { .. }), "{pointer}: {error}");
    }
}

#[test]
fn what_is_no_keystore_at_all_is_refused_without_being_quoted() {
    let long = vec![b' '; limits::KEYSTORE_BYTES_MAX + 1];
    let expected = KeystoreError::Length { max: 16_384, got: 16_385 };
    assert_eq!(Keystore::from_json(&long).unwrap_err(), expected);
    for text in ["", "{", "null", "[]", "3", JUNK, "\u{feff}{}", &"[".repeat(16_000)] {
        let error = Keystore::from_json(text.as_bytes()).unwrap_err();
        assert!(!error.to_string().contains("junk"), "{error}");
    }
    // Somebody's mnemonic in a JSON string: the place is told, not the words.
    let error = Keystore::from_json(format!("{{\"version\": {JUNK:?}}} {JUNK}").as_bytes());
    assert!(!error.unwrap_err().to_string().contains("junk"));
}

#[test]
fn a_changed_label_is_told_from_a_wrong_passphrase() {
    let mut file = file();
    let labelled = Keypair::from_secret_bytes(&[1; 32]).unwrap().peer_id().wallet_address();
    file["address"] = json!(labelled.to_string());
    let keystore = read(&file).unwrap();
    assert_eq!(keystore.address(), Some(labelled));
    let held = keypair().peer_id().wallet_address();
    let expected = KeystoreError::WrongAddress { labelled, held };
    assert_eq!(keystore.decrypt(&passphrase("right")).unwrap_err(), expected);
    assert_eq!(keystore.decrypt(&passphrase("wrong")).unwrap_err(), KeystoreError::Unlock);
}

#[test]
fn the_first_keys_of_a_mnemonic_are_those_of_other_wallets() {
    // The accounts that development chains of Ethereum start with.
    let seed = Mnemonic::parse(JUNK).unwrap().seed(&Passphrase::default());
    for (role, path, address) in [
        (Role::Owner, "m/44'/60'/0'/0/0", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
        (Role::Operator(0), "m/44'/60'/0'/0/1", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        (Role::Operator(1), "m/44'/60'/0'/0/2", "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
    ] {
        assert_eq!(role.to_string(), path);
        let keypair = seed.key(role).unwrap();
        assert_eq!(keypair.peer_id().wallet_address().to_string(), address);
    }
}

#[test]
fn an_operator_number_beyond_the_account_is_refused() {
    let seed = Mnemonic::parse(JUNK).unwrap().seed(&Passphrase::default());
    let last = (1 << 31) - 2;
    assert!(seed.key(Role::Operator(last)).is_ok());
    for number in [last + 1, u32::MAX] {
        let expected = Bound::at_most((1 << 31) - 1);
        let error = DerivationError::Index { expected, got: u64::from(number) + 1 };
        assert_eq!(seed.key(Role::Operator(number)).unwrap_err(), error);
    }
}

#[test]
fn words_are_read_as_a_person_types_them() {
    let typed = "  Test TEST test\ttest test test\n test test test  test test JUNK\r\n";
    assert_eq!(Mnemonic::parse(typed).unwrap(), Mnemonic::parse(JUNK).unwrap());
}

#[test]
fn a_slip_in_the_words_is_told_by_its_kind_and_place() {
    let count = |got| Err(MnemonicError::WordCount { got });
    assert_eq!(Mnemonic::parse(""), count(0));
    assert_eq!(Mnemonic::parse(JUNK.trim_end_matches(" junk")), count(11));
    assert_eq!(Mnemonic::parse(&[JUNK, JUNK, JUNK].join(" ")), count(36));

    let slip = JUNK.replacen("test test test", "test test tset", 1);
    let error = Mnemonic::parse(&slip).unwrap_err();
    assert_eq!(error, MnemonicError::UnknownWord { position: 3 });
    assert!(!error.to_string().contains("tset"), "{error}");

    let swapped = "test test test test test test test test test test junk test";
    assert_eq!(Mnemonic::parse(swapped), Err(MnemonicError::Checksum));
}

#[test]
fn another_passphrase_is_another_wallet_whatever_way_its_accents_are_encoded() {
    let mnemonic = Mnemonic::parse(JUNK).unwrap();
    let owner = |text| mnemonic.seed(&passphrase(text)).key(Role::Owner).unwrap().peer_id();
    assert_ne!(owner(""), owner("caf\u{e9}"));
    assert_eq!(owner("caf\u{e9}"), owner("cafe\u{301}"));
}

#[test]
fn nothing_secret_is_printed() {
    let mnemonic = Mnemonic::parse(JUNK).unwrap();
    let passphrase = passphrase("hunter2");
    let seed = mnemonic.seed(&passphrase);
    let key = seed.key(Role::Owner).unwrap();
    let keystore = Keystore::encrypt(&key, &passphrase, cheap(), &[7; 64]);
    let printed = format!("{mnemonic:?} {passphrase:?} {seed:?} {key:?} {keystore:?}");
    for secret in ["junk", "hunter2", "ac0974be", "172, 9, 116"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(printed.contains("Mnemonic(secret) Passphrase(secret) Seed(secret)"));
}

proptest! {
    #[test]
    fn what_is_encrypted_is_decrypted_by_its_passphrase_only(
        secret in any::<[u8; 32]>(),
        // HMAC pads its key with zeros, so that NUL at the end makes no other passphrase.
        (right, wrong) in ("\\PC{0,80}", "\\PC{0,80}"),
        randomness in prop::array::uniform32(any::<[u8; 2]>()),
        (log2_n, r, p) in (1_u32..6, 1_u64..9, 1_u64..4),
    ) {
        prop_assume!(right != wrong);
        let Ok(keypair) = Keypair::from_secret_bytes(&secret) else { return Ok(()) };
        let parameters = ScryptParameters::new(1 << log2_n, r, p).unwrap();
        let randomness = randomness.as_flattened().try_into().unwrap();
        let written = Keystore::encrypt(&keypair, &passphrase(&right), parameters, randomness);
        let keystore = Keystore::from_json(written.to_json().as_bytes()).unwrap();
        prop_assert!(keystore == written);
        prop_assert_eq!(keystore.address(), Some(keypair.peer_id().wallet_address()));
        let decrypted = keystore.decrypt(&passphrase(&right)).unwrap();
        prop_assert_eq!(*decrypted.secret_bytes(), secret);
        prop_assert_eq!(keystore.decrypt(&passphrase(&wrong)).unwrap_err(), KeystoreError::Unlock);
    }

    #[test]
    fn created_words_restore_the_same_wallet(
        short in any::<[u8; 16]>(),
        long in any::<[u8; 32]>(),
    ) {
        for (mnemonic, count) in
            [(Mnemonic::of_12_words(&short), 12), (Mnemonic::of_24_words(&long), 24)]
        {
            let words: Vec<&str> = mnemonic.words().collect();
            prop_assert_eq!(words.len(), count);
            prop_assert!(Mnemonic::parse(&words.join(" ")).unwrap() == mnemonic);
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(
        text in ".{0,200}",
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = Mnemonic::parse(&text);
        let _ = Keystore::from_json(text.as_bytes());
        let _ = Keystore::from_json(&bytes);
    }
}
