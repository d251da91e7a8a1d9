//! Signed notes and their Ed25519 keys (C2SP `signed-note`, signature type `0x01`).
//!
//! A note is text, an empty line, and signature lines `— <key name> <base64(key id ‖ signature)>`.
//! A verifier key travels as `name+<key id in hex>+<base64(0x01 ‖ public key)>`. Signatures by
//! keys we do not know are skipped, so witnesses may add theirs to the same note.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer};
use sha2::{Digest, Sha256};

/// The longest note read, in bytes; room for a hundred post-quantum signatures.
pub(crate) const MAX_NOTE_BYTES: usize = 1 << 20;
/// The most signature lines read.
pub(crate) const MAX_SIGNATURES: usize = 100;

const MAX_NAME_BYTES: usize = 255;
const ED25519: u8 = 0x01;
const SIGNATURE_START: &str = "\u{2014} ";

/// Why a key is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name breaks the rules for key names.
    #[error(
        "key name {0:?}: use 1 to 255 bytes without spaces, `+` or control characters, \
         best a schema-less URL such as `forum.example/log`"
    )]
    Name(String),
    /// Not `name+id+key`.
    #[error("a verifier key is written `name+<8 hex digits>+<base64>`")]
    Form,
    /// Another signature type than Ed25519.
    #[error("signature type {0:#04x} is not Ed25519 (0x01)")]
    Algorithm(u8),
    /// The key id is not the one of this name and key: one of the three was altered.
    #[error("key id {found:08x} does not belong to this name and key, which have {expected:08x}")]
    Id {
        /// The id that follows from name and key.
        expected: u32,
        /// The id written.
        found: u32,
    },
    /// The 32 bytes are no Ed25519 public key, or one of the weak ones.
    #[error("these 32 bytes are not a usable Ed25519 public key")]
    PublicKey,
}

/// Why a note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than 1 MiB.
    #[error("the note has {0} bytes, more than {MAX_NOTE_BYTES}")]
    TooLarge(usize),
    /// A control character other than the newline.
    #[error("the note has a control character at byte {0}")]
    ControlCharacter(usize),
    /// No text that ends in an empty line.
    #[error("the note has no text followed by an empty line and signatures")]
    Unsigned,
    /// More than a hundred.
    #[error("the note has more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A line below the text is no signature.
    #[error("signature line {0} is not `— <key name> <base64>`")]
    SignatureLine(usize),
    /// None of the signatures is by the key.
    #[error("no signature is by key {0}")]
    NotSignedBy(String),
    /// A signature claims to be by the key and is not.
    #[error("the signature of key {0} does not fit the text")]
    SignatureInvalid(String),
}

/// An Ed25519 key that signs notes under a name. Its secret is never printed.
#[derive(Clone)]
pub struct SigningKey {
    public: VerifyingKey,
    secret: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// The key that follows from 32 random bytes, kept secret by the caller, and a name (for a log:
    /// its origin).
    pub fn from_seed(seed: [u8; 32], name: &str) -> Result<Self, KeyError> {
        let secret = ed25519_dalek::SigningKey::from_bytes(&seed);
        let public = VerifyingKey::new(name, secret.verifying_key())?;
        Ok(Self { public, secret })
    }

    /// The name signatures carry.
    pub fn name(&self) -> &str {
        &self.public.name
    }

    /// The public half, to be given to whoever checks.
    pub fn verifying_key(&self) -> VerifyingKey {
        self.public.clone()
    }

    /// The signature line for `text`, with its newline.
    fn signature_line(&self, text: &str) -> String {
        let mut blob = self.public.id.to_be_bytes().to_vec();
        blob.extend_from_slice(&self.secret.sign(text.as_bytes()).to_bytes());
        format!(
            "{SIGNATURE_START}{} {}\n",
            self.public.name,
            STANDARD.encode(blob)
        )
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// The public half of a [`SigningKey`].
///
/// ```
/// use manara_audit::{SigningKey, VerifyingKey};
/// let key = SigningKey::from_seed([1; 32], "forum.example/log")?.verifying_key();
/// assert_eq!(VerifyingKey::parse(&key.encode())?, key);
/// # Ok::<(), manara_audit::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    id: u32,
    key: ed25519_dalek::VerifyingKey,
}

impl VerifyingKey {
    fn new(name: &str, key: ed25519_dalek::VerifyingKey) -> Result<Self, KeyError> {
        if !is_key_name(name) {
            return Err(KeyError::Name(name.into()));
        }
        if key.is_weak() {
            return Err(KeyError::PublicKey);
        }
        Ok(Self {
            name: name.into(),
            id: key_id(name, &key),
            key,
        })
    }

    /// Reads `name+<key id>+<base64>`.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(KeyError::Form);
        };
        let found = parse_key_id(id).ok_or(KeyError::Form)?;
        let blob = STANDARD.decode(encoded).map_err(|_| KeyError::Form)?;
        let (algorithm, bytes) = blob.split_first().ok_or(KeyError::Form)?;
        if *algorithm != ED25519 {
            return Err(KeyError::Algorithm(*algorithm));
        }
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| KeyError::PublicKey)?;
        let key =
            ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::PublicKey)?;
        let key = Self::new(name, key)?;
        if key.id == found {
            Ok(key)
        } else {
            Err(KeyError::Id {
                expected: key.id,
                found,
            })
        }
    }

    /// The form [`VerifyingKey::parse`] reads, to be published beside the log.
    pub fn encode(&self) -> String {
        let mut blob = vec![ED25519];
        blob.extend_from_slice(self.key.as_bytes());
        format!("{self}+{}", STANDARD.encode(blob))
    }

    /// The name signatures carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of SHA-256(name ‖ newline ‖ `0x01` ‖ public key), big-endian.
    pub fn id(&self) -> u32 {
        self.id
    }
}

/// Name and id, `forum.example/log+5b3a21c4`: enough to say which key is meant.
impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}", self.name, self.id)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

/// Signs `text`: lines that each pass [`is_note_line`], the last with its newline.
pub(crate) fn sign(text: &str, key: &SigningKey) -> String {
    format!("{text}\n{}", key.signature_line(text))
}

/// The text of `note`, once a signature by `key` was found and holds.
pub(crate) fn open<'a>(note: &'a str, key: &VerifyingKey) -> Result<&'a str, NoteError> {
    let (text, signatures) = split(note)?;
    let mut signed = false;
    for (index, line) in signatures.split_terminator('\n').enumerate() {
        if index == MAX_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        let (name, id, signature) =
            parse_signature(line).ok_or(NoteError::SignatureLine(index + 1))?;
        if name != key.name || id != key.id {
            continue;
        }
        // The specification asks to refuse the whole note when a known key's signature fails, even
        // beside a good one.
        let fits = Signature::from_slice(&signature)
            .is_ok_and(|signature| key.key.verify_strict(text.as_bytes(), &signature).is_ok());
        if !fits {
            return Err(NoteError::SignatureInvalid(key.to_string()));
        }
        signed = true;
    }
    if signed {
        Ok(text)
    } else {
        Err(NoteError::NotSignedBy(key.to_string()))
    }
}

/// Splits a note into its text (with final newline) and its signature lines, at the last empty line.
fn split(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > MAX_NOTE_BYTES {
        return Err(NoteError::TooLarge(note.len()));
    }
    if let Some(at) = note.bytes().position(|byte| byte < 0x20 && byte != b'\n') {
        return Err(NoteError::ControlCharacter(at));
    }
    let (text, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Unsigned)?;
    if !signatures.ends_with('\n') {
        return Err(NoteError::Unsigned);
    }
    // The text keeps the first of the two newlines.
    let text = note.get(..=text.len()).ok_or(NoteError::Unsigned)?;
    Ok((text, signatures))
}

fn parse_signature(line: &str) -> Option<(&str, u32, Vec<u8>)> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_START)?.split_once(' ')?;
    let blob = STANDARD.decode(encoded).ok()?;
    let (id, signature) = blob.split_first_chunk()?;
    let well_formed = is_key_name(name) && !signature.is_empty();
    well_formed.then(|| (name, u32::from_be_bytes(*id), signature.to_vec()))
}

/// Whether `line` may stand in a note: not empty, no newline, no control character.
pub(crate) fn is_note_line(line: &str) -> bool {
    !line.is_empty() && line.bytes().all(|byte| byte >= 0x20)
}

fn is_key_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name
            .chars()
            .all(|c| c >= ' ' && c != '+' && !c.is_whitespace())
}

fn parse_key_id(text: &str) -> Option<u32> {
    let digits = text
        .bytes()
        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if text.len() == 8 && digits {
        u32::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

fn key_id(name: &str, key: &ed25519_dalek::VerifyingKey) -> u32 {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.as_bytes())
        .finalize()
        .into();
    let [a, b, c, d, ..] = digest;
    u32::from_be_bytes([a, b, c, d])
}
