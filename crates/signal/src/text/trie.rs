//! A trie whose edges are hashes of words: one look into a hash table a word, however many phrases
//! there are. What ends at its nodes are numbers that mean something to its owner.

use hashbrown::HashTable;

/// The node where every path begins.
pub(super) const ROOT: u32 = 0;
/// No node, no end.
pub(super) const NONE: u32 = u32::MAX;

/// Paths of word hashes and what ends there.
pub(super) struct Trie {
    nodes: Vec<Node>,
    free_nodes: Vec<u32>,
    edges: HashTable<Edge>,
    ends: Vec<End>,
    free_ends: Vec<u32>,
    /// Which words begin a path.
    first_words: Bits,
    /// Which words are a whole path.
    alone: Bits,
    /// Which two words begin a path; see [`pair`].
    pairs: Bits,
    /// Which edges there are beyond the first.
    further: Bits,
}

/// Where a word leads. What is asked of the node first is here, since most nodes are never looked at.
#[derive(Clone, Copy)]
struct Edge {
    /// See [`edge`].
    key: u64,
    child: Child,
}

/// A node that a word leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Child {
    pub(super) node: u32,
    /// Whether anything ends here.
    pub(super) has_ends: bool,
    /// Whether a path goes on from here.
    pub(super) goes_on: bool,
}

#[derive(Clone, Copy)]
struct Node {
    parent: u32,
    children: u32,
    /// The word that leads here.
    word: u64,
    /// First of what ends here.
    ends: u32,
}

/// One thing that ends at a node, and the next.
#[derive(Clone, Copy)]
struct End {
    value: u32,
    next: u32,
}

/// The key of the edge from a node along a word.
#[inline]
fn edge(node: u32, word: u64) -> u64 {
    let mixed = (word ^ u64::from(node).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

/// Two words as one hash.
#[inline]
fn pair(first: u64, second: u64) -> u64 {
    first.rotate_left(29).wrapping_mul(0x517c_c1b7_2722_0a95) ^ second
}

impl Trie {
    pub(super) fn new() -> Self {
        Self {
            nodes: vec![Node {
                parent: NONE,
                children: 0,
                word: 0,
                ends: NONE,
            }],
            free_nodes: Vec::new(),
            edges: HashTable::new(),
            ends: Vec::new(),
            free_ends: Vec::new(),
            first_words: Bits::default(),
            alone: Bits::default(),
            pairs: Bits::default(),
            further: Bits::default(),
        }
    }

    /// Whether nothing ends in it.
    pub(super) fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }

    /// Where the word leads from a node.
    #[inline]
    pub(super) fn child(&self, node: u32, word: u64) -> Option<Child> {
        let wanted = edge(node, word);
        let may_be = if node == ROOT {
            self.first_words.may_have(word)
        } else {
            self.further.may_have(wanted)
        };
        if !may_be {
            return None;
        }
        let found = self.edges.find(wanted, |edge| edge.key == wanted);
        found.map(|edge| edge.child)
    }

    /// Which words may begin a path, for who asks of many.
    #[inline]
    pub(super) fn first(&self) -> &Bits {
        &self.first_words
    }

    /// Whether the word may begin a path; if not, it does not.
    #[inline]
    pub(super) fn may_begin(&self, word: u64) -> bool {
        self.first_words.may_have(word)
    }

    /// Whether something may end after the word alone.
    #[inline]
    pub(super) fn may_be_alone(&self, word: u64) -> bool {
        self.alone.may_have(word)
    }

    /// Whether a path may begin with these two words.
    #[inline]
    pub(super) fn may_begin_with(&self, first: u64, second: u64) -> bool {
        self.pairs.may_have(pair(first, second))
    }

    /// Writes what is true of a node to the edge that leads there.
    fn note(&mut self, at: u32) {
        let Some(&node) = self.nodes.get(at as usize) else {
            return;
        };
        let key = edge(node.parent, node.word);
        let edge = self.edges.find_mut(key, |edge| edge.child.node == at);
        if let Some(Edge { child, .. }) = edge {
            child.has_ends = node.ends != NONE;
            child.goes_on = node.children > 0;
        }
    }

    /// What ends at a node.
    pub(super) fn ends(&self, node: u32) -> impl Iterator<Item = u32> {
        let mut next = self.nodes.get(node as usize).map_or(NONE, |node| node.ends);
        std::iter::from_fn(move || {
            let end = self.ends.get(next as usize)?;
            next = end.next;
            Some(end.value)
        })
    }

    /// Lets `value` end where the words lead; gives the node.
    pub(super) fn insert(&mut self, words: impl Iterator<Item = u64>, value: u32) -> u32 {
        let mut at = ROOT;
        for word in words {
            at = match self.child(at, word) {
                Some(child) => child.node,
                None => self.add_node(at, word),
            };
        }
        let Some(node) = self.nodes.get_mut(at as usize) else {
            return NONE;
        };
        let end = End {
            value,
            next: node.ends,
        };
        node.ends = place(&mut self.ends, &mut self.free_ends, end);
        if node.parent == ROOT {
            let word = node.word;
            let nodes = self.nodes.iter();
            let alone = nodes.filter(|node| node.parent == ROOT && node.ends != NONE);
            self.alone.add(word, alone.map(|node| node.word));
        }
        self.note(at);
        at
    }

    /// Takes `value` out of the node, and the nodes that thereby lead nowhere out of the trie.
    pub(super) fn remove(&mut self, node: u32, value: u32) {
        let Some(first) = self.nodes.get(node as usize).map(|node| node.ends) else {
            return;
        };
        let (mut before, mut at) = (NONE, first);
        while let Some(&end) = self.ends.get(at as usize) {
            if end.value != value {
                (before, at) = (at, end.next);
                continue;
            }
            if let Some(before) = self.ends.get_mut(before as usize) {
                before.next = end.next;
            } else if let Some(node) = self.nodes.get_mut(node as usize) {
                node.ends = end.next;
            }
            self.free_ends.push(at);
            break;
        }
        self.note(node);
        self.prune(node);
    }

    fn add_node(&mut self, parent: u32, word: u64) -> u32 {
        let node = Node {
            parent,
            children: 0,
            word,
            ends: NONE,
        };
        let at = place(&mut self.nodes, &mut self.free_nodes, node);
        if let Some(parent) = self.nodes.get_mut(parent as usize) {
            parent.children += 1;
        }
        let key = edge(parent, word);
        let child = Child {
            node: at,
            has_ends: false,
            goes_on: false,
        };
        self.edges
            .insert_unique(key, Edge { key, child }, |edge| edge.key);
        self.may_have(parent, word, key);
        at
    }

    /// Notes a new edge where it is asked for before the table.
    fn may_have(&mut self, parent: u32, word: u64, key: u64) {
        let nodes = &self.nodes;
        if parent == ROOT {
            let first = nodes.iter().filter(|node| node.parent == ROOT);
            self.first_words.add(word, first.map(|node| node.word));
            return;
        }
        let edges = self.edges.iter().map(|edge| edge.key);
        self.further.add(key, edges);
        let begins = |at: u32| nodes.get(at as usize).filter(|node| node.parent == ROOT);
        if let Some(first) = begins(parent) {
            let all = nodes.iter().filter_map(|second| {
                let first = begins(second.parent)?;
                Some(pair(first.word, second.word))
            });
            self.pairs.add(pair(first.word, word), all);
        }
        self.note(parent);
    }

    fn prune(&mut self, mut at: u32) {
        while let Some(node) = self.nodes.get_mut(at as usize)
            && at != ROOT
            && node.children == 0
            && node.ends == NONE
        {
            let parent = std::mem::replace(&mut node.parent, NONE);
            let key = edge(parent, node.word);
            if let Ok(entry) = self.edges.find_entry(key, |edge| edge.child.node == at) {
                entry.remove();
            }
            self.free_nodes.push(at);
            if let Some(parent) = self.nodes.get_mut(parent as usize) {
                parent.children -= 1;
            }
            self.note(parent);
            at = parent;
        }
    }

    #[cfg(test)]
    pub(super) fn nodes_in_use(&self) -> usize {
        self.nodes.len() - self.free_nodes.len()
    }
}

/// Puts an item in a free place or a new one.
fn place<T>(items: &mut Vec<T>, free: &mut Vec<u32>, item: T) -> u32 {
    let at = free.pop().unwrap_or(items.len() as u32);
    match items.get_mut(at as usize) {
        Some(old) => *old = item,
        None => items.push(item),
    }
    at
}

/// Which hashes may be in: three bits for each, and almost no other word of a text has all three
/// set. Bits of what is gone stay until the next growth; they cost a look into the table and no more.
#[derive(Default)]
pub(super) struct Bits {
    /// A power of two.
    bits: Vec<u64>,
    /// How many hashes may be added before there are too many.
    room: usize,
}

/// Bits for each hash, at least.
const BITS_EACH: usize = 16;
/// Fewest hashes there is room for.
const ROOM_MIN: usize = 64;

impl Bits {
    #[inline]
    pub(super) fn may_have(&self, word: u64) -> bool {
        let (at, wanted) = self.place(word);
        self.bits
            .get(at)
            .is_some_and(|bits| bits & wanted == wanted)
    }

    #[inline]
    fn place(&self, word: u64) -> (usize, u64) {
        let mixed = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let at = (mixed >> 20) as usize & self.bits.len().wrapping_sub(1);
        let bit = |shift: u32| 1 << ((mixed >> shift) & 63);
        (at, bit(46) | bit(52) | bit(58))
    }

    /// Adds a hash; `all` are those in, for when there is no room left.
    fn add(&mut self, word: u64, all: impl Iterator<Item = u64>) {
        if self.room == 0 {
            let all: Vec<u64> = all.collect();
            let room = (2 * all.len()).max(ROOM_MIN).next_power_of_two();
            self.bits = vec![0; room * BITS_EACH / 64];
            self.room = room.saturating_sub(all.len());
            for word in all {
                self.set(word);
            }
        }
        self.set(word);
        self.room = self.room.saturating_sub(1);
    }

    fn set(&mut self, word: u64) {
        let (at, wanted) = self.place(word);
        if let Some(bits) = self.bits.get_mut(at) {
            *bits |= wanted;
        }
    }
}
