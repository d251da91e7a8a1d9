//! Events in each bucket of one key, in as little memory as they need.
//!
//! | what the key has | bytes beside its entry |
//! |---|---|
//! | up to 5 buckets, each up to 65,535 events | 0 |
//! | more, each up to 255 events | 76 |
//! | each up to 65,535 | 152 |
//! | each up to 4,294,967,295; what is above is not counted | 304 |

use super::codec::{DecodeError, Reader, put_number, sure};
use super::shard::{Cells, Place, heap_block};
use super::window::{Ages, SLOTS, Window};

/// Buckets kept within the entry itself.
const FEW: usize = 5;

#[derive(Debug, Clone)]
pub(super) enum Count {
    /// Age and events of each, youngest first; no events: nothing more.
    Few([Few; FEW]),
    /// Events by bucket number modulo the buckets kept.
    Small(Box<Ring<u8>>),
    Middle(Box<Ring<u16>>),
    Large(Box<Ring<u32>>),
}

type Ring<T> = [T; SLOTS];

/// Three bytes without gaps, so that five of them and the tag are sixteen.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Few {
    age: u8,
    events: [u8; 2],
}

impl Few {
    fn new(age: u8, events: u16) -> Self {
        Self {
            age,
            events: events.to_le_bytes(),
        }
    }

    fn events(self) -> u16 {
        u16::from_le_bytes(self.events)
    }
}

impl Count {
    fn one() -> Self {
        let mut few = [Few::default(); FEW];
        few[0] = Few::new(0, 1);
        Self::Few(few)
    }

    pub(super) fn read(&self, newest: i64, ages: Ages, window: Window) -> u64 {
        match self {
            Self::Few(few) => few
                .iter()
                .filter(|few| ages.contains(few.age))
                .map(|few| u64::from(few.events()))
                .sum(),
            Self::Small(ring) => ring_sum(ring.as_slice(), newest, ages, window),
            Self::Middle(ring) => ring_sum(ring.as_slice(), newest, ages, window),
            Self::Large(ring) => ring_sum(ring.as_slice(), newest, ages, window),
        }
    }

    fn advance(&mut self, before: i64, newest: i64, window: Window) {
        let Some(by) = window.age(newest, before) else {
            *self = Self::Few([Few::default(); FEW]);
            return;
        };
        match self {
            Self::Few(few) => few_advance(few, by, window.reach()),
            Self::Small(ring) => ring_advance(ring.as_mut_slice(), newest, by, window),
            Self::Middle(ring) => ring_advance(ring.as_mut_slice(), newest, by, window),
            Self::Large(ring) => ring_advance(ring.as_mut_slice(), newest, by, window),
        }
    }

    /// Whether there was room for one more event at this age.
    fn increment(&mut self, newest: i64, age: u8, window: Window) -> bool {
        match self {
            Self::Few(few) => few_increment(few, age),
            Self::Small(ring) => ring_increment(ring.as_mut_slice(), newest, age, window),
            Self::Middle(ring) => ring_increment(ring.as_mut_slice(), newest, age, window),
            Self::Large(ring) => ring_increment(ring.as_mut_slice(), newest, age, window),
        }
    }

    /// The same events where there is room for one more; a full `Large` stays as it is.
    fn widened(&self, newest: i64, window: Window) -> Option<Self> {
        let pairs = self.pairs(newest, window);
        match self {
            Self::Few(_) => {
                small(&pairs, newest, window).or_else(|| middle(&pairs, newest, window))
            }
            Self::Small(_) => middle(&pairs, newest, window),
            Self::Middle(_) => Some(large(&pairs, newest, window)),
            Self::Large(_) => None,
        }
    }

    /// Age and events of every bucket that has some, youngest first.
    fn pairs(&self, newest: i64, window: Window) -> Vec<(u8, u32)> {
        (0..=window.reach())
            .map(|age| {
                (
                    age,
                    self.read(
                        newest,
                        Ages {
                            young: age,
                            old: age,
                        },
                        window,
                    ) as u32,
                )
            })
            .filter(|(_, events)| *events > 0)
            .collect()
    }

    fn narrowest(pairs: &[(u8, u32)], newest: i64, window: Window) -> Self {
        few(pairs)
            .or_else(|| small(pairs, newest, window))
            .or_else(|| middle(pairs, newest, window))
            .unwrap_or_else(|| large(pairs, newest, window))
    }
}

impl Cells for Count {
    type Input = ();

    fn first(_: Place, (): (), _: Window) -> Self {
        Self::one()
    }

    fn add(&mut self, place: Place, (): (), window: Window) {
        if place.before < place.newest {
            self.advance(place.before, place.newest, window);
        }
        while !self.increment(place.newest, place.age, window) {
            let Some(wider) = self.widened(place.newest, window) else {
                return;
            };
            *self = wider;
        }
    }

    fn weight(&self, newest: i64, window: Window) -> u64 {
        self.read(newest, window.all(), window)
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Few(_) => 0,
            Self::Small(_) => heap_block(size_of::<Ring<u8>>()),
            Self::Middle(_) => heap_block(size_of::<Ring<u16>>()),
            Self::Large(_) => heap_block(size_of::<Ring<u32>>()),
        }
    }

    fn tidy(&mut self, newest: i64, window: Window) {
        if !matches!(self, Self::Few(_)) {
            *self = Self::narrowest(&self.pairs(newest, window), newest, window);
        }
    }

    fn encode(&self, newest: i64, window: Window, out: &mut Vec<u8>) {
        let pairs = self.pairs(newest, window);
        put_number(out, pairs.len() as u64);
        for (age, events) in pairs {
            out.push(age);
            put_number(out, events);
        }
    }

    fn decode(newest: i64, window: Window, bytes: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = bytes.count(2)?;
        sure(count <= SLOTS, "there are too many buckets")?;
        let mut pairs = Vec::with_capacity(count);
        let mut next_age = 0;
        for _ in 0..count {
            let (age, events) = (bytes.byte()?, bytes.number()?);
            sure(age >= next_age && age <= window.reach(), "an age is wrong")?;
            sure(events > 0, "a bucket is empty")?;
            next_age = age + 1;
            pairs.push((age, events));
        }
        sure(
            pairs.first().is_some_and(|(age, _)| *age == 0),
            "the newest bucket is missing",
        )?;
        Ok(Self::narrowest(&pairs, newest, window))
    }
}

fn few(pairs: &[(u8, u32)]) -> Option<Count> {
    let mut few = [Few::default(); FEW];
    if pairs.len() > FEW {
        return None;
    }
    for (slot, (age, events)) in few.iter_mut().zip(pairs) {
        *slot = Few::new(*age, u16::try_from(*events).ok()?);
    }
    Some(Count::Few(few))
}

fn small(pairs: &[(u8, u32)], newest: i64, window: Window) -> Option<Count> {
    ring(pairs, newest, window).map(|ring| Count::Small(Box::new(ring)))
}

fn middle(pairs: &[(u8, u32)], newest: i64, window: Window) -> Option<Count> {
    ring(pairs, newest, window).map(|ring| Count::Middle(Box::new(ring)))
}

fn large(pairs: &[(u8, u32)], newest: i64, window: Window) -> Count {
    Count::Large(Box::new(ring(pairs, newest, window).unwrap_or([0; SLOTS])))
}

fn ring<T: Copy + Default + TryFrom<u32>>(
    pairs: &[(u8, u32)],
    newest: i64,
    window: Window,
) -> Option<Ring<T>> {
    let mut ring = [T::default(); SLOTS];
    for (age, events) in pairs {
        let slot = ring.get_mut(slot(newest, *age, window))?;
        *slot = T::try_from(*events).ok()?;
    }
    Some(ring)
}

/// Where in a ring the bucket of this age is.
pub(super) fn slot(newest: i64, age: u8, window: Window) -> usize {
    let slots = i64::from(window.reach()) + 1;
    let at = newest.rem_euclid(slots) - i64::from(age);
    (if at < 0 { at + slots } else { at }) as usize
}

/// All between two ages, both included.
pub(super) fn ring_sum<T: Copy + Into<u64>>(
    ring: &[T],
    newest: i64,
    ages: Ages,
    window: Window,
) -> u64 {
    let total = |range: &[T]| range.iter().map(|events| (*events).into()).sum::<u64>();
    let (first, last) = (
        slot(newest, ages.old, window),
        slot(newest, ages.young, window),
    );
    let ring = ring.get(..=usize::from(window.reach())).unwrap_or_default();
    if first <= last {
        return total(ring.get(first..=last).unwrap_or_default());
    }
    total(ring.get(first..).unwrap_or_default()) + total(ring.get(..=last).unwrap_or_default())
}

/// Empties the slots of the buckets that begin now.
pub(super) fn ring_advance<T: Copy + Default>(ring: &mut [T], newest: i64, by: u8, window: Window) {
    for age in 0..by {
        if let Some(slot) = ring.get_mut(slot(newest, age, window)) {
            *slot = T::default();
        }
    }
}

fn ring_increment<T: Copy + Into<u64> + TryFrom<u64>>(
    ring: &mut [T],
    newest: i64,
    age: u8,
    window: Window,
) -> bool {
    let Some(slot) = ring.get_mut(slot(newest, age, window)) else {
        return true;
    };
    match T::try_from((*slot).into() + 1) {
        Ok(more) => {
            *slot = more;
            true
        }
        Err(_) => false,
    }
}

fn few_increment(few: &mut [Few; FEW], age: u8) -> bool {
    let at = few.partition_point(|few| few.events() > 0 && few.age < age);
    match few.get_mut(at) {
        Some(one) if one.events() > 0 && one.age == age => match one.events().checked_add(1) {
            Some(more) => {
                one.events = more.to_le_bytes();
                true
            }
            None => false,
        },
        _ => few_insert(few, at, age),
    }
}

fn few_insert(few: &mut [Few; FEW], at: usize, age: u8) -> bool {
    if few.last().is_some_and(|last| last.events() > 0) {
        return false;
    }
    if let Some(rest) = few.get_mut(at..) {
        rest.rotate_right(1);
        if let Some(first) = rest.first_mut() {
            *first = Few::new(age, 1);
        }
    }
    true
}

fn few_advance(few: &mut [Few; FEW], by: u8, reach: u8) {
    for one in few {
        let age = one.age.saturating_add(by);
        *one = if one.events() == 0 || age > reach {
            Few::default()
        } else {
            Few { age, ..*one }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn sixteen_bytes_and_its_option_too() {
        assert_eq!((size_of::<Count>(), size_of::<Option<Count>>()), (16, 16));
    }

    #[test]
    fn every_form_holds_as_much_as_it_says() {
        let window = Window::of(SignedDuration::from_hours(1)).unwrap();
        let forms = [(65_535_u32, 0), (65_536, 160 + 160), (70_000, 320)];
        for (events, _) in forms {
            let pairs = [(0, events), (7, 1)];
            let mut count = Count::narrowest(&pairs, 1_000, window);
            let place = Place {
                before: 1_000,
                newest: 1_000,
                age: 0,
                at_ms: 0,
            };
            count.add(place, (), window);
            assert_eq!(count.pairs(1_000, window), [(0, events + 1), (7, 1)]);
        }
        let mut full = Count::narrowest(&[(0, u32::MAX)], 5, window);
        let place = Place {
            before: 5,
            newest: 5,
            age: 0,
            at_ms: 0,
        };
        full.add(place, (), window);
        assert_eq!(full.weight(5, window), u64::from(u32::MAX));
    }
}
