//! A second opinion: `tlog_tiles` and `signed_note`, ports of the code behind Go's checksum
//! database, read what we write and write what we read.

use crate::common::{decision, leaf_hashes};
use manara_audit::tiles::{Tile, TileKind, grown};
use manara_audit::{
    Checkpoint, Frontier, Hash, SigningKey, consistency_proof, inclusion_proof, leaf_hash,
    open_checkpoint, sign_checkpoint, verify_consistency, verify_inclusion,
};
use signed_note::{Note, Signer, StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::tlog;

const ORIGIN: &str = "forum.example/log";
const SIZE: u64 = 300;

/// Every node of our tree, in the order their library stores them.
struct Stored(Vec<tlog::Hash>);

impl Stored {
    fn from_ours(leaves: &[Hash]) -> Self {
        let mut stored = Vec::new();
        let mut frontier = Frontier::new();
        for leaf in leaves {
            frontier.push_with(*leaf, |level, index, hash| {
                let position = tlog::stored_hash_index(level, index);
                assert_eq!(
                    position,
                    stored.len() as u64,
                    "our order of completion is theirs"
                );
                stored.push(theirs(hash));
            });
        }
        Self(stored)
    }

    fn node(&self) -> impl Fn(u8, u64) -> Option<Hash> {
        |level, index| {
            let position = tlog::stored_hash_index(level, index);
            self.0.get(position as usize).copied().map(ours)
        }
    }
}

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        Ok(indexes
            .iter()
            .map(|index| self.0[*index as usize])
            .collect())
    }
}

fn theirs(hash: Hash) -> tlog::Hash {
    tlog::Hash(hash.0)
}

fn ours(hash: tlog::Hash) -> Hash {
    Hash(hash.0)
}

fn all_ours(hashes: &[tlog::Hash]) -> Vec<Hash> {
    hashes.iter().copied().map(ours).collect()
}

#[test]
fn leaf_hashes_agree() {
    for data in [
        &b""[..],
        b"\0",
        &decision(1).encode().expect("a leaf"),
        &vec![7; 65_535],
    ] {
        assert_eq!(theirs(leaf_hash(data)), tlog::record_hash(data));
    }
}

#[test]
fn roots_agree_at_every_size() {
    let leaves = leaf_hashes(SIZE);
    let stored = Stored::from_ours(&leaves);
    let mut frontier = Frontier::new();
    for (size, leaf) in (0..).zip(&leaves) {
        assert_eq!(
            Ok(theirs(frontier.root())),
            tlog::tree_hash(size, &stored).map_err(drop)
        );
        frontier.push(*leaf);
    }
}

#[test]
fn proofs_agree_both_ways() {
    let leaves = leaf_hashes(SIZE);
    let stored = Stored::from_ours(&leaves);
    for new in [1, 2, 3, 7, 8, 13, 64, 100, 255, 256, 257, SIZE] {
        let root = tlog::tree_hash(new, &stored).expect("a root");
        for index in 0..new {
            let proof = tlog::prove_record(new, index, &stored).expect("their proof");
            let leaf = leaves[index as usize];
            assert_eq!(
                inclusion_proof(index, new, stored.node()),
                Ok(all_ours(&proof))
            );
            assert_eq!(
                verify_inclusion(leaf, index, new, &all_ours(&proof), ours(root)),
                Ok(())
            );
            assert!(tlog::check_record(&proof, new, root, index, theirs(leaf)).is_ok());
        }
        for old in 1..=new {
            let old_root = tlog::tree_hash(old, &stored).expect("a root");
            let proof = tlog::prove_tree(new, old, &stored).expect("their proof");
            assert_eq!(
                consistency_proof(old, new, stored.node()),
                Ok(all_ours(&proof))
            );
            let checked =
                verify_consistency(old, new, &all_ours(&proof), ours(old_root), ours(root));
            assert_eq!(checked, Ok(()));
            assert!(tlog::check_tree(&proof, new, root, old, old_root).is_ok());
        }
    }
}

/// Theirs are Go's paths, with the tile height in front and `data` for entries; C2SP dropped the
/// one and renamed the other.
fn c2sp_path(tile: tlog_tiles::Tile) -> String {
    tile.path()
        .replacen("tile/8/", "tile/", 1)
        .replacen("/data/", "/entries/", 1)
}

#[test]
fn tiles_agree() {
    let leaves = leaf_hashes(SIZE);
    let stored = Stored::from_ours(&leaves);
    for (old, new) in [
        (0, 1),
        (0, 255),
        (0, 256),
        (10, 257),
        (256, SIZE),
        (299, SIZE),
    ] {
        let their_tiles = tlog_tiles::Tile::new_tiles(8, old, new);
        let our_tiles: Vec<Tile> = grown(old, new)
            .filter(|tile| tile.kind() != TileKind::Entries)
            .collect();
        let paths: Vec<String> = our_tiles.iter().map(Tile::to_string).collect();
        assert_eq!(
            paths,
            their_tiles
                .iter()
                .copied()
                .map(c2sp_path)
                .collect::<Vec<_>>()
        );
        for (our_tile, their_tile) in our_tiles.iter().zip(&their_tiles) {
            let content = their_tile.read_data(&stored).expect("their tile");
            assert_eq!(our_tile.cut(stored.node()), Ok(content), "{our_tile}");
        }
    }
    for index in [
        0,
        1,
        999,
        1000,
        1_234_067,
        1_000_000_000,
        manara_audit::tiles::MAX_INDEX,
    ] {
        for width in [1, 255, 256] {
            let path = Tile::hashes(3, index, width).expect("a tile").to_string();
            let theirs = tlog_tiles::Tile::new(8, 3, index, width.into(), false);
            assert_eq!(path, c2sp_path(theirs));
            let path = Tile::entries(index, width).expect("a tile").to_string();
            let theirs = tlog_tiles::Tile::new(8, 0, index, width.into(), true);
            assert_eq!(path, c2sp_path(theirs));
        }
    }
}

#[test]
fn they_accept_our_checkpoints() {
    let key = SigningKey::from_seed([42; 32], ORIGIN).expect("a key");
    let checkpoint = Checkpoint::new(ORIGIN, 300, leaf_hash(b"root"));
    let ours = sign_checkpoint(&checkpoint, &key).expect("a note");

    let verifier = StandardVerifier::new(&key.verifying_key().encode()).expect("our key");
    let note = Note::from_bytes(ours.as_bytes()).expect("our note");
    let (verified, skipped) = note
        .verify(&VerifierList::new(vec![Box::new(verifier)]))
        .expect("our signature");
    assert_eq!((verified.len(), skipped.len()), (1, 0));

    let read = tlog_tiles::Checkpoint::from_bytes(note.text()).expect("our checkpoint");
    assert_eq!(read.origin(), ORIGIN);
    assert_eq!(read.size(), 300);
    assert_eq!(*read.hash(), theirs(leaf_hash(b"root")));
}

#[test]
fn we_accept_their_checkpoints() {
    let key = SigningKey::from_seed([42; 32], ORIGIN).expect("a key");
    let skey = {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let mut blob = vec![1];
        blob.extend([42; 32]);
        format!(
            "PRIVATE+KEY+{}+{}",
            key.verifying_key(),
            STANDARD.encode(blob)
        )
    };
    let signer = StandardSigner::new(&skey).expect("the same key");
    let root = leaf_hash(b"root");
    let text = tlog_tiles::Checkpoint::new(ORIGIN, 300, theirs(root), "an extension\n")
        .expect("a checkpoint")
        .to_bytes();
    let mut note = Note::new(&text, &[]).expect("a note");
    note.add_sigs(&[&signer as &dyn Signer])
        .expect("a signature");
    let note = String::from_utf8(note.to_bytes()).expect("text");

    let mut expected = Checkpoint::new(ORIGIN, 300, root);
    expected.extensions = vec!["an extension".into()];
    assert_eq!(
        open_checkpoint(&note, &key.verifying_key()),
        Ok(expected.clone())
    );
    // Ed25519 is deterministic, so the same statement is the same file.
    assert_eq!(sign_checkpoint(&expected, &key), Ok(note));
}
