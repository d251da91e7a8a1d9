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
    /// Which words begin a path, and which edges there are beyond the first.
    first_words: Bits,
    further: Bits,
    further_count: u32,
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
            further: Bits::default(),
            further_count: 0,
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
        if parent == ROOT {
            let children = self.nodes.first().map_or(0, |root| root.children);
            let first = self.nodes.iter().filter(|node| node.parent == ROOT);
            let words = first.map(|node| node.word);
            self.first_words.add(word, children, words);
        } else {
            self.note(parent);
            self.further_count += 1;
            let edges = self.edges.iter().map(|edge| edge.key);
            self.further.add(key, self.further_count, edges);
        }
        at
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
            self.further_count -= u32::from(parent != ROOT);
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

/// Which hashes may be in: one bit for each, and most words of a text have none set. Bits of what is
/// gone stay until the next growth; they cost a look into the table and no more.
#[derive(Default)]
struct Bits {
    /// A power of two.
    bits: Vec<u64>,
}

/// Bits for each hash, at least half of this.
const BITS_EACH: usize = 16;

impl Bits {
    #[inline]
    fn may_have(&self, word: u64) -> bool {
        let (at, bit) = self.place(word);
        self.bits.get(at).is_some_and(|bits| bits & bit != 0)
    }

    #[inline]
    fn place(&self, word: u64) -> (usize, u64) {
        let mixed = word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let at = (mixed >> 6) as usize & self.bits.len().wrapping_sub(1);
        (at, 1 << (mixed & 63))
    }

    /// Adds a hash, now one of `count`, which are `all` or among them.
    fn add(&mut self, word: u64, count: u32, all: impl Iterator<Item = u64>) {
        if count as usize * BITS_EACH / 2 > self.bits.len() * 64 {
            let words = (count as usize * BITS_EACH / 64).next_power_of_two();
            self.bits = vec![0; words.max(16)];
            all.for_each(|word| self.set(word));
        }
        self.set(word);
    }

    fn set(&mut self, word: u64) {
        let (at, bit) = self.place(word);
        if let Some(bits) = self.bits.get_mut(at) {
            *bits |= bit;
        }
    }
}
