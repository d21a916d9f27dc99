//! The checked-in protobuf code is what the `.proto` files generate, so that users of the crate
//! need neither `protoc` nor a build script. After a change of a `.proto` file, run
//! `POP_UPDATE_PROTO=1 cargo test -p pop-wire --test generated_code_is_current`.

use std::path::Path;

const FILES: [&str; 3] = ["content.proto", "record.proto", "exchange.proto"];

#[test]
fn generated_code_is_current() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto_dir = crate_dir.join("proto");
    let descriptors = protox::compile(FILES, [&proto_dir]).expect("the .proto files compile");
    let out = tempfile::tempdir().expect("a temporary directory");
    prost_build::Config::new()
        .bytes(["."])
        .out_dir(out.path())
        .compile_fds(descriptors)
        .expect("prost generates");
    let fresh = std::fs::read_to_string(out.path().join("pop.v1.rs")).expect("generated file");
    let checked_in = crate_dir.join("src/proto/pop.v1.rs");
    if std::env::var_os("POP_UPDATE_PROTO").is_some() {
        std::fs::write(&checked_in, &fresh).expect("write the generated file");
    }
    let current = std::fs::read_to_string(&checked_in).expect("src/proto/pop.v1.rs is checked in");
    assert!(current == fresh, "src/proto/pop.v1.rs is stale; see the head of this test");
}
