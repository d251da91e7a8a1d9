//! Cryptographic digests of whole files: the same bytes, or not.
//!
//! They match exact copies only. MD5 is broken against forgery and is here because hash lists that
//! are exchanged still use it; treat an MD5 match as a lead, a SHA-256 match as the same file.

use crate::hex::hex_newtype;
use md5::Digest as _;

hex_newtype! {
    /// The SHA-256 digest of a file (FIPS 180-4), 32 bytes.
    Sha256, 32
}

hex_newtype! {
    /// The MD5 digest of a file (RFC 1321), 16 bytes.
    Md5, 16
}

/// The SHA-256 digest of `bytes`.
///
/// ```
/// use manara_signal::digest::sha256;
/// assert_eq!(
///     sha256(b"abc").to_hex(),
///     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
/// );
/// ```
pub fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// The MD5 digest of `bytes`.
///
/// ```
/// use manara_signal::digest::md5;
/// assert_eq!(md5(b"abc").to_hex(), "900150983cd24fb0d6963f7d28e17f72");
/// ```
pub fn md5(bytes: &[u8]) -> Md5 {
    Md5(md5::Md5::digest(bytes).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], sha: &str, md: &str) {
        assert_eq!(sha256(bytes).to_hex(), sha);
        assert_eq!(md5(bytes).to_hex(), md);
    }

    // The vectors of FIPS 180-4's and RFC 1321's own test suites.
    #[test]
    fn standard_vectors() {
        check(
            b"",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "d41d8cd98f00b204e9800998ecf8427e",
        );
        check(
            b"abcdefghijklmnopqrstuvwxyz",
            "71c480df93d6ae2f1efad1447c66c9525e316218cf51fc8d9ed832f2daf18b73",
            "c3fcd3d76192e4007dfb496cca67e13b",
        );
    }
}
