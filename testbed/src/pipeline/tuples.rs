//! The flows of one table, found by what they match on.
//!
//! Flows that look at the same bits share a *shape*. Within a shape a flow is found by hash, so a frame costs one
//! look-up for each shape that could still win, however many flows there are (tuple space search). A flow keeps
//! only the bytes its shape looks at.

use std::collections::{BTreeMap, HashMap};

use super::key::{Key, SIZE};

/// What a flow matches: the bits of `mask` are as in `value`; all others of `value` are zero.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Pattern {
    /// The bits looked at.
    pub mask: Key,
    /// What they must be.
    pub value: Key,
}

impl Pattern {
    /// Whether every frame that `other` matches is matched by this too.
    pub fn covers(&self, other: &Self) -> bool {
        (0..SIZE).all(|i| {
            let mask = self.mask.0[i];
            mask & other.mask.0[i] == mask && mask & other.value.0[i] == self.value.0[i]
        })
    }

    /// Whether some frame could be matched by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        (0..SIZE).all(|i| {
            let both = self.mask.0[i] & other.mask.0[i];
            self.value.0[i] & both == other.value.0[i] & both
        })
    }

    /// Whether it matches every frame.
    pub fn is_any(&self) -> bool {
        self.mask.0.iter().all(|byte| *byte == 0)
    }
}

/// Flows by priority and pattern.
#[derive(Debug)]
pub struct Tuples<T> {
    shapes: Vec<Shape<T>>,
    count: usize,
}

impl<T> Default for Tuples<T> {
    fn default() -> Self {
        Self { shapes: Vec::new(), count: 0 }
    }
}

/// What a look-up found.
#[derive(Debug)]
pub struct Hit<'a, T> {
    /// Whether it is the table-miss flow: priority 0, every frame (1.3.5, 5.4).
    pub is_miss: bool,
    /// The flow.
    pub flow: &'a mut T,
}

#[derive(Debug)]
struct Shape<T> {
    mask: Key,
    /// Bytes that are looked at: place in the key, and bits.
    bytes: Box<[(u8, u8)]>,
    /// How many flows there are of each priority; the last is the highest.
    priorities: BTreeMap<u16, usize>,
    entries: HashMap<Box<[u8]>, Vec<Entry<T>>>,
}

#[derive(Debug)]
struct Entry<T> {
    priority: u16,
    flow: T,
}

impl<T> Tuples<T> {
    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The flow of the highest priority that matches. Of several of one priority, which OpenFlow leaves open, it is
    /// always the same one for the same history of changes.
    pub fn lookup(&mut self, key: &Key) -> Option<Hit<'_, T>> {
        let mut best: Option<(u16, usize)> = None;
        let mut packed = Vec::with_capacity(32);
        for (index, shape) in self.shapes.iter().enumerate() {
            // Shapes stand by falling highest priority: nothing behind can win any more.
            if best.is_some_and(|(priority, _)| shape.highest() <= priority) {
                break;
            }
            shape.pack(key, &mut packed);
            if let Some(first) = shape.entries.get(&packed[..]).and_then(|list| list.first())
                && best.is_none_or(|(priority, _)| first.priority > priority)
            {
                best = Some((first.priority, index));
            }
        }
        let (priority, index) = best?;
        let shape = self.shapes.get_mut(index)?;
        shape.pack(key, &mut packed);
        let entry = shape.entries.get_mut(&packed[..])?.first_mut()?;
        Some(Hit { is_miss: priority == 0 && shape.bytes.is_empty(), flow: &mut entry.flow })
    }

    /// The flow with exactly this priority and pattern.
    pub fn get_mut(&mut self, priority: u16, pattern: &Pattern) -> Option<&mut T> {
        let shape = self.shapes.iter_mut().find(|shape| shape.is_of(&pattern.mask))?;
        let packed = shape.packed(&pattern.value);
        let entry = shape.entries.get_mut(&packed)?.iter_mut().find(|e| e.priority == priority)?;
        Some(&mut entry.flow)
    }

    /// Puts in a flow; returns the one of the same priority and pattern that it replaced.
    pub fn insert(&mut self, priority: u16, pattern: &Pattern, flow: T) -> Option<T> {
        if let Some(old) = self.get_mut(priority, pattern) {
            return Some(std::mem::replace(old, flow));
        }
        let index = match self.shapes.iter().position(|shape| shape.is_of(&pattern.mask)) {
            Some(index) => index,
            None => {
                self.shapes.push(Shape::new(&pattern.mask));
                self.shapes.len() - 1
            }
        };
        let shape = &mut self.shapes[index];
        let raised =
            shape.priorities.last_key_value().is_none_or(|(highest, _)| priority > *highest);
        *shape.priorities.entry(priority).or_default() += 1;
        let packed = shape.packed(&pattern.value);
        // Nearly always the only one: room for one, where Vec would begin with four.
        let list = shape.entries.entry(packed).or_insert_with(|| Vec::with_capacity(1));
        let place = list.partition_point(|entry| entry.priority > priority);
        list.insert(place, Entry { priority, flow });
        self.count += 1;
        if raised {
            self.sort();
        }
        None
    }

    /// Takes out the flow with exactly this priority and pattern.
    pub fn remove(&mut self, priority: u16, pattern: &Pattern) -> Option<T> {
        let index = self.shapes.iter().position(|shape| shape.is_of(&pattern.mask))?;
        let shape = &mut self.shapes[index];
        let packed = shape.packed(&pattern.value);
        let list = shape.entries.get_mut(&packed)?;
        let place = list.iter().position(|entry| entry.priority == priority)?;
        let entry = list.remove(place);
        if list.is_empty() {
            shape.entries.remove(&packed);
        }
        shape.forget(priority);
        self.tidy(1);
        Some(entry.flow)
    }

    /// Calls `visit` with each flow that `filter` covers; there, patterns are made anew only where asked for.
    pub fn for_each<'a>(
        &'a self,
        filter: &Pattern,
        mut visit: impl FnMut(u16, &dyn Fn() -> Pattern, &'a T),
    ) {
        for shape in self.shapes.iter().filter(|shape| shape.looks_at(&filter.mask)) {
            let mut list_of = |packed: &[u8], list: &'a [Entry<T>]| {
                if shape.is_within(filter, packed) {
                    let pattern = || shape.unpacked(packed);
                    list.iter().for_each(|entry| visit(entry.priority, &pattern, &entry.flow));
                }
            };
            if shape.is_of(&filter.mask) {
                let found = shape.entries.get_key_value(&shape.packed(&filter.value));
                found.into_iter().for_each(|(packed, list)| list_of(packed, list));
            } else {
                shape.entries.iter().for_each(|(packed, list)| list_of(packed, list));
            }
        }
    }

    /// Calls `visit` with each flow that `filter` covers, to change it.
    pub fn for_each_mut(&mut self, filter: &Pattern, mut visit: impl FnMut(u16, &mut T)) {
        for shape in self.shapes.iter_mut().filter(|shape| shape.looks_at(&filter.mask)) {
            let bytes = shape.bytes.clone();
            for (packed, list) in &mut shape.entries {
                if is_within(&bytes, filter, packed) {
                    list.iter_mut().for_each(|entry| visit(entry.priority, &mut entry.flow));
                }
            }
        }
    }

    /// Takes out the flows that `filter` covers and `wanted` agrees to; sorted by falling priority, then pattern.
    pub fn extract(
        &mut self,
        filter: &Pattern,
        mut wanted: impl FnMut(u16, &T) -> bool,
    ) -> Vec<(u16, Pattern, T)> {
        let mut taken = Vec::new();
        for shape in self.shapes.iter_mut().filter(|shape| shape.looks_at(&filter.mask)) {
            let exact = shape.is_of(&filter.mask).then(|| shape.packed(&filter.value));
            let keys: Vec<Box<[u8]>> = match exact {
                Some(packed) => vec![packed],
                None => shape
                    .entries
                    .iter()
                    .filter(|(packed, _)| is_within(&shape.bytes, filter, packed))
                    .filter(|(_, list)| list.iter().any(|e| wanted(e.priority, &e.flow)))
                    .map(|(packed, _)| packed.clone())
                    .collect(),
            };
            for packed in keys {
                let Some(list) = shape.entries.get_mut(&packed) else { continue };
                let out: Vec<_> =
                    list.extract_if(.., |entry| wanted(entry.priority, &entry.flow)).collect();
                if list.is_empty() {
                    shape.entries.remove(&packed);
                }
                for entry in out {
                    shape.forget(entry.priority);
                    taken.push((entry.priority, shape.unpacked(&packed), entry.flow));
                }
            }
        }
        self.tidy(taken.len());
        taken.sort_by(|(p, a, _), (q, b, _)| {
            q.cmp(p).then_with(|| (a.mask.0, a.value.0).cmp(&(b.mask.0, b.value.0)))
        });
        taken
    }

    /// Whether a flow of this priority exists that could match a frame which `pattern` matches.
    pub fn has_overlap(&self, priority: u16, pattern: &Pattern) -> bool {
        self.shapes.iter().filter(|shape| shape.priorities.contains_key(&priority)).any(|shape| {
            shape.entries.iter().any(|(packed, list)| {
                list.iter().any(|e| e.priority == priority)
                    && shape.unpacked(packed).overlaps(pattern)
            })
        })
    }

    fn tidy(&mut self, removed: usize) {
        self.count -= removed;
        if removed > 0 {
            self.shapes.retain(|shape| !shape.priorities.is_empty());
            self.sort();
        }
    }

    fn sort(&mut self) {
        self.shapes
            .sort_by(|a, b| b.highest().cmp(&a.highest()).then_with(|| a.bytes.cmp(&b.bytes)));
    }
}

impl<T> Shape<T> {
    fn new(mask: &Key) -> Self {
        let looked_at = mask.0.iter().enumerate().filter(|(_, bits)| **bits != 0);
        let bytes = looked_at.map(|(at, bits)| (at as u8, *bits)).collect();
        Self { mask: *mask, bytes, priorities: BTreeMap::new(), entries: HashMap::new() }
    }

    fn highest(&self) -> u16 {
        self.priorities.last_key_value().map_or(0, |(priority, _)| *priority)
    }

    fn forget(&mut self, priority: u16) {
        if let Some(left) = self.priorities.get_mut(&priority) {
            *left -= 1;
            if *left == 0 {
                self.priorities.remove(&priority);
            }
        }
    }

    fn is_of(&self, mask: &Key) -> bool {
        self.mask == *mask
    }

    /// Whether the shape looks at all bits of `mask`, so that its flows can be covered by such a filter.
    fn looks_at(&self, mask: &Key) -> bool {
        self.mask.0.iter().zip(&mask.0).all(|(own, wanted)| own & wanted == *wanted)
    }

    fn is_within(&self, filter: &Pattern, packed: &[u8]) -> bool {
        is_within(&self.bytes, filter, packed)
    }

    fn pack(&self, key: &Key, into: &mut Vec<u8>) {
        into.clear();
        into.extend(self.bytes.iter().map(|(at, bits)| key.0[usize::from(*at)] & bits));
    }

    fn packed(&self, key: &Key) -> Box<[u8]> {
        self.bytes.iter().map(|(at, bits)| key.0[usize::from(*at)] & bits).collect()
    }

    fn unpacked(&self, packed: &[u8]) -> Pattern {
        let mut pattern = Pattern::default();
        for ((at, bits), value) in self.bytes.iter().zip(packed) {
            pattern.mask.0[usize::from(*at)] = *bits;
            pattern.value.0[usize::from(*at)] = *value;
        }
        pattern
    }
}

fn is_within(bytes: &[(u8, u8)], filter: &Pattern, packed: &[u8]) -> bool {
    bytes.iter().zip(packed).all(|((at, _), value)| {
        let at = usize::from(*at);
        value & filter.mask.0[at] == filter.value.0[at]
    })
}
