//! What a keystore file may ask for: it is somebody's input, and its numbers decide how much memory
//! and time reading it takes (`spec/incentive.md`, section "Wallet").

/// Bytes of a keystore file. One is about 500 bytes.
pub const KEYSTORE_BYTES_MAX: usize = 16 * 1024;

/// scrypt's n, the length of its table: 2^22. The standard is 2^18.
pub const SCRYPT_N_MAX: u64 = 1 << 22;

/// scrypt's r, blocks of an entry of the table. The standard is 8.
pub const SCRYPT_R_MAX: u64 = 64;

/// scrypt's p, runs one after the other. The standard is 1.
pub const SCRYPT_P_MAX: u64 = 64;

/// Bytes that scrypt may allocate: twice the 256 MiB of the standard parameters, and 1 MiB for what
/// stands beside the table.
pub const SCRYPT_MEMORY_BYTES_MAX: u64 = 513 * 1024 * 1024;

/// The product n * r * p, which scrypt's time is proportional to: four times the standard's 2^21.
pub const SCRYPT_WORK_MAX: u64 = 1 << 23;

/// Iterations of PBKDF2. Files of geth's test suite have 262,144; a few seconds at this bound.
pub const PBKDF2_ITERATIONS_MAX: u64 = 10_000_000;

/// Fewest bytes of a derived key: half for the cipher, half for the checksum.
pub const DERIVED_KEY_BYTES_MIN: u64 = 32;

/// Most bytes of a derived key. Only the first 32 are ever used, and so computed.
pub const DERIVED_KEY_BYTES_MAX: u64 = 64;

/// Bytes of the salt. Every known program writes 32.
pub const SALT_BYTES_MAX: usize = 64;
