//! Any bytes as a keystore file and as a mnemonic: reading neither panics nor computes, what is
//! read is written again so that it reads as the same, and words that fit give themselves back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pop_incentive::wallet::{Keystore, Mnemonic};

fuzz_target!(|data: &[u8]| {
    if let Ok(keystore) = Keystore::from_json(data) {
        let text = keystore.to_json();
        let again = Keystore::from_json(text.as_bytes()).expect("our own text");
        assert!(again == keystore);
        assert_eq!(again.to_json(), text);
    }
    if let Ok(text) = str::from_utf8(data)
        && let Ok(mnemonic) = Mnemonic::parse(text)
    {
        let words: Vec<&str> = mnemonic.words().collect();
        assert!(Mnemonic::parse(&words.join(" ")).is_ok_and(|again| again == mnemonic));
    }
});
