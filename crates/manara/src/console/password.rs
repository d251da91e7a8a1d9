//! Passwords: what may be one, and how it is kept and checked (Argon2id, RFC 9106).

use super::Error;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use manara_model::Name;
use manara_store::{NewReviewer, Role};
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;

/// Shortest password, in characters; NIST SP 800-63B asks for 8, and for more where it stands alone.
const CHARACTERS_MIN: usize = 12;
/// Longest password, in bytes.
pub(super) const BYTES_MAX: usize = 1024;
/// Longest login, in bytes: that of a [`Name`].
pub(super) const LOGIN_BYTES_MAX: usize = 64;

/// Why a login or a password cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The login has characters that would make it ambiguous beside a decision.
    #[error(
        "`{0}` is not a login: begin with a lower-case letter, then letters, digits, `.`, `_` or `-`, at most 64"
    )]
    Login(String),
    /// The password is too easily guessed, or too long to hash.
    #[error("{0}")]
    Password(&'static str),
    /// A fault of the hasher.
    #[error("the password could not be hashed: {0}")]
    Hashing(String),
}

/// Checks a login and a password and makes a reviewer of them. `salt` has to be random.
pub(crate) fn new_reviewer(
    login: &str,
    password: &str,
    role: Role,
    salt: [u8; 16],
) -> Result<NewReviewer, Refusal> {
    let name: Name = login
        .parse()
        .map_err(|_| Refusal::Login(login.chars().take(80).collect()))?;
    check(password, login)?;
    let salt =
        SaltString::encode_b64(&salt).map_err(|error| Refusal::Hashing(error.to_string()))?;
    let hash = hasher().hash_password(password.as_bytes(), &salt);
    Ok(NewReviewer {
        login: name.into(),
        password_hash: hash
            .map_err(|error| Refusal::Hashing(error.to_string()))?
            .to_string(),
        role,
    })
}

fn check(password: &str, login: &str) -> Result<(), Refusal> {
    let mut letters: Vec<char> = password.chars().collect();
    if letters.len() < CHARACTERS_MIN {
        return Err(Refusal::Password(
            "A password needs at least 12 characters; several ordinary words do well.",
        ));
    }
    if password.len() > BYTES_MAX {
        return Err(Refusal::Password(
            "The password is longer than 1,024 bytes: choose a shorter one.",
        ));
    }
    letters.sort_unstable();
    letters.dedup();
    if letters.len() < 5 {
        return Err(Refusal::Password(
            "The password repeats a few characters: choose one with more variety.",
        ));
    }
    if login.len() >= 3
        && password
            .to_lowercase()
            .replace(&login.to_lowercase(), "")
            .chars()
            .count()
            < CHARACTERS_MIN - 4
    {
        return Err(Refusal::Password(
            "The password is little more than the login: choose another.",
        ));
    }
    Ok(())
}

/// 19 MiB, two passes, one lane: what OWASP's password storage page recommends for Argon2id.
fn hasher() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Whether the password is the one behind `hash`; without a hash it is never, after the same work,
/// so that the time taken does not tell which logins exist.
pub(super) async fn verify(
    checking: &Arc<Semaphore>,
    hash: Option<String>,
    password: String,
) -> Result<bool, Error> {
    let permit = Arc::clone(checking).acquire_owned().await;
    let permit = permit.map_err(|error| Error::Internal(error.to_string()))?;
    let verified = tokio::task::spawn_blocking(move || {
        let verified = verify_blocking(hash.as_deref(), &password);
        drop(permit);
        verified
    });
    verified
        .await
        .map_err(|error| Error::Internal(format!("checking a password: {error}")))
}

fn verify_blocking(hash: Option<&str>, password: &str) -> bool {
    // Made once with a fixed salt; nothing is ever compared with it successfully.
    static NOBODY: LazyLock<String> = LazyLock::new(|| {
        new_reviewer(
            "nobody",
            "no password matches this",
            Role::Reviewer,
            [0; 16],
        )
        .map_or_else(|_| String::new(), |r| r.password_hash)
    });
    let known = hash.is_some();
    let Ok(hash) = PasswordHash::new(hash.unwrap_or(&NOBODY)) else {
        return false;
    };
    let matches =
        password.len() <= BYTES_MAX && hasher().verify_password(password.as_bytes(), &hash).is_ok();
    matches && known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(login: &str, password: &str, says: &str) {
        let error = new_reviewer(login, password, Role::Reviewer, [1; 16])
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn weak_passwords_and_strange_logins_are_refused() {
        refused("noor", "short", "at least 12");
        refused("noor", "éééééééééé", "at least 12");
        refused("noor", "aaaaaaaaaaaaaaaa", "repeats");
        refused("noor", "noornoornoor1x!", "little more than the login");
        refused("noor", &"abcdef".repeat(200), "1,024");
        refused("Noor", "correct horse battery", "not a login");
        refused("no\u{202e}or", "correct horse battery", "not a login");
        refused("", "correct horse battery", "not a login");
    }

    #[test]
    fn a_password_opens_its_own_hash_only() {
        let reviewer = new_reviewer("noor", "correct horse battery", Role::Admin, [1; 16]).unwrap();
        assert!(
            reviewer
                .password_hash
                .starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
        );
        assert_eq!(reviewer.role, Role::Admin);
        assert!(verify_blocking(
            Some(&reviewer.password_hash),
            "correct horse battery"
        ));
        assert!(!verify_blocking(
            Some(&reviewer.password_hash),
            "correct horse batterz"
        ));
        assert!(!verify_blocking(
            Some("not a hash"),
            "correct horse battery"
        ));
        assert!(!verify_blocking(None, "no password matches this"));
    }
}
