//! The pages of the store's file, read without redb: every page is held against
//! the checksum that its parent has of it, so that what comes out of here was
//! written by us, whatever became of the file.
//!
//! Form: redb's file format 3 (redb's `docs/design.md`, "File format"). Two
//! *commit slots* at the beginning carry their own checksum and name the roots
//! of two trees, the user's and redb's own. The rows of either tree are
//! definitions of tables, each with the root of its own tree. A page number is
//! region, index and order; a branch has the checksum and number of each child.
//!
//! Why it does not panic: no slice is taken but by `get`, numbers out of the
//! file are only added within bounds that cannot overflow, a tree is followed
//! to [`DEPTH_MAX`], and one walk reads no more pages than the file has. redb
//! itself checks pages only after an unclean stop, and panics on some damage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use twox_hash::XxHash3_128;

/// Bytes of the smallest page; our files know no other.
const PAGE: u64 = 4_096;
/// Bytes of the file's head that mean something.
const HEAD: usize = 320;
/// Where the commit slots begin.
const SLOTS: [usize; 2] = [64, 192];
/// Bytes of a slot that its checksum is of; the checksum follows.
const SLOT_BODY: usize = 112;
const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
/// The only form that is read here.
const FORMAT: u8 = 3;
/// Most pages from a root to a leaf; 512 GiB would not need ten.
const DEPTH_MAX: usize = 32;
/// Largest order of a page.
const ORDER_MAX: u64 = 20;
/// Most pages of a region.
const REGION_PAGES_MAX: u64 = 1 << 20;

/// Where the bytes are.
pub trait Bytes {
    /// How many.
    fn size(&self) -> io::Result<u64>;
    /// Fill `out` from `offset` on, or fail.
    fn fill(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

impl Bytes for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn fill(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(out, offset)
    }
}

/// The root of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tree {
    page: u64,
    checksum: u128,
    /// Rows that it has when it is whole.
    pub rows: u64,
}

/// Widths of keys and values; `None` when they differ from row to row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Widths {
    pub key: Option<usize>,
    pub value: Option<usize>,
}

/// What the file says of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    pub name: String,
    /// `None` when it is empty.
    pub tree: Option<Tree>,
    pub widths: Widths,
    /// Names of its types.
    pub key_type: String,
    pub value_type: String,
}

/// A commit that a slot speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    id: u64,
    user: Option<Tree>,
    system: Option<Tree>,
}

/// How a walk through a tree went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Rows that were there.
    pub rows: u64,
    /// Pages that are not what was written.
    pub bad: u64,
}

/// A file's beginning.
struct Head {
    magic: bool,
    unclean: bool,
    two_phases: bool,
    primary: usize,
    known_form: bool,
    slots: [Option<Commit>; 2],
}

/// Where pages lie.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Geometry {
    header_pages: u64,
    region_pages: u64,
}

/// What redb makes of a new file.
const USUAL: Geometry = Geometry { header_pages: 0, region_pages: REGION_PAGES_MAX };

/// A file whose pages are read.
pub struct Pages<'a> {
    bytes: &'a dyn Bytes,
    size: u64,
    head: Head,
    geometry: Geometry,
}

/// A page that is what was written.
enum Node {
    Leaf(Vec<u8>, usize),
    Branch(Vec<u8>, usize),
}

impl<'a> Pages<'a> {
    /// Look at the beginning of a file.
    ///
    /// # Errors
    /// When its size is not to be had.
    pub fn of(bytes: &'a dyn Bytes) -> io::Result<Self> {
        let size = bytes.size()?;
        let mut head = [0; HEAD];
        // A file that is too short or cannot be read there has no head.
        let _ = bytes.fill(0, &mut head);
        let mut pages = Self { bytes, size, head: Head::parse(&head), geometry: USUAL };
        if let Some(geometry) = Geometry::parse(&head) {
            let usual = pages.roots();
            let told = Self { geometry, ..pages };
            let better = told.roots() >= usual;
            pages = if better { told } else { Self { geometry: USUAL, ..told } };
        }
        Ok(pages)
    }

    /// `Ok` when redb will find every page of the commit that it goes on from
    /// as it was written; otherwise what is wrong. Of a file that was not
    /// closed, the last commit may be torn: then redb goes on from the one
    /// before, which nobody was told is out of date.
    pub fn check(&self) -> Result<(), String> {
        let Head { magic, unclean, two_phases, primary, known_form, slots } = &self.head;
        if !magic {
            return Err("its beginning is not that of a store".to_owned());
        }
        if !known_form {
            return Err("its commits are in no form that is known".to_owned());
        }
        let (first, second) = (slots[*primary], slots[1 - *primary]);
        let newer = second.filter(|second| first.is_none_or(|first| first.id < second.id));
        if *unclean && !*two_phases {
            let mut newest_first = [first, second];
            if newer.is_some() {
                newest_first.reverse();
            }
            let whole = newest_first.into_iter().flatten().any(|commit| self.bad_in(&commit) == 0);
            return if whole { Ok(()) } else { Err("no commit in it is whole".to_owned()) };
        }
        match first {
            None => Err("its last commit cannot be read".to_owned()),
            Some(_) if newer.is_some() && !*two_phases => {
                Err("it names an older commit than its last one".to_owned())
            }
            Some(commit) => match self.bad_in(&commit) {
                0 => Ok(()),
                bad => Err(format!("{bad} of its pages are not what was written")),
            },
        }
    }

    /// The commits that can be read, the newest first.
    pub fn commits(&self) -> Vec<Commit> {
        let mut commits: Vec<_> = self.head.slots.into_iter().flatten().collect();
        commits.sort_by_key(|commit| std::cmp::Reverse(commit.id));
        commits
    }

    /// The tables of a commit, and how reading them went.
    pub fn tables(&self, commit: &Commit) -> (Vec<Definition>, Walked) {
        self.definitions(commit.user)
    }

    /// Definitions of tables that no commit leads to: the page with them went bad,
    /// or they are of an earlier commit and not yet written over. Nothing vouches
    /// for such a page, but for a definition in it does the root that it names,
    /// when that has the checksum that it names.
    pub fn strays(&self) -> Vec<Definition> {
        let mut strays = Vec::new();
        // Behind the head, so that a page number is the place less one.
        for index in 0..(self.size / PAGE).saturating_sub(1).min(REGION_PAGES_MAX) {
            let Some(page) = self.page(index).filter(|page| page.first() == Some(&1)) else {
                continue;
            };
            let rows = usize::from(u16_at(&page, 2).unwrap_or(0));
            let found = (0..rows).filter_map(|row| {
                let (name, definition) = leaf_row(&page, rows, row, Widths::default())?;
                let table = Definition::parse(name, definition)?;
                let Tree { page, checksum, .. } = table.tree?;
                self.node(page, checksum, table.widths).is_some().then_some(table)
            });
            strays.extend(found);
        }
        strays
    }

    /// Give every row of a table that can be had to `visit`, in order.
    ///
    /// # Errors
    /// The first one of `visit`.
    pub fn rows<E>(
        &self,
        table: &Definition,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<Walked, E> {
        let mut walk = Walk { widths: table.widths, visit: &mut visit, walked: Walked::default() };
        if let Some(tree) = table.tree {
            let mut left = self.size / PAGE;
            self.walk(tree.page, tree.checksum, 0, &mut left, &mut walk)?;
        }
        Ok(walk.walked)
    }

    /// Pages of a commit that are not what was written.
    fn bad_in(&self, commit: &Commit) -> u64 {
        let mut bad = 0;
        for tree in [commit.user, commit.system] {
            let (tables, walked) = self.definitions(tree);
            bad += walked.bad;
            for table in tables {
                let Ok(walked) = self.rows(&table, |_, _| Ok::<_, std::convert::Infallible>(()));
                bad += walked.bad;
            }
        }
        bad
    }

    /// Commits whose roots are found where they should be.
    fn roots(&self) -> usize {
        let found = |tree: &Tree| self.node(tree.page, tree.checksum, Widths::default()).is_some();
        self.commits().iter().filter(|commit| commit.user.as_ref().is_some_and(found)).count()
    }

    fn definitions(&self, tree: Option<Tree>) -> (Vec<Definition>, Walked) {
        let (name, widths) = (String::new(), Widths::default());
        let (key_type, value_type) = (String::new(), String::new());
        let all = Definition { name, tree, widths, key_type, value_type };
        let mut tables = Vec::new();
        let visit = |name: &[u8], definition: &[u8]| {
            tables.extend(Definition::parse(name, definition));
            Ok::<_, std::convert::Infallible>(())
        };
        let Ok(walked) = self.rows(&all, visit);
        (tables, walked)
    }

    fn walk<E>(
        &self,
        page: u64,
        checksum: u128,
        depth: usize,
        left: &mut u64,
        walk: &mut Walk<'_, E>,
    ) -> Result<(), E> {
        let node = if depth < DEPTH_MAX && *left > 0 {
            *left -= 1;
            self.node(page, checksum, walk.widths)
        } else {
            None
        };
        match node {
            None => walk.walked.bad += 1,
            Some(Node::Leaf(page, rows)) => {
                for row in 0..rows {
                    match leaf_row(&page, rows, row, walk.widths) {
                        Some((key, value)) => {
                            walk.walked.rows += 1;
                            (walk.visit)(key, value)?;
                        }
                        None => walk.walked.bad += 1,
                    }
                }
            }
            Some(Node::Branch(page, children)) => {
                for child in 0..children {
                    let checksum = u128_at(&page, 8 + 16 * child);
                    let number = u64_at(&page, 8 + 16 * children + 8 * child);
                    match checksum.zip(number) {
                        Some((sum, number)) => self.walk(number, sum, depth + 1, left, walk)?,
                        None => walk.walked.bad += 1,
                    }
                }
            }
        }
        Ok(())
    }

    /// A page, when it is what was written.
    fn node(&self, number: u64, checksum: u128, widths: Widths) -> Option<Node> {
        let page = self.page(number)?;
        let count = usize::from(u16_at(&page, 2)?);
        let last = count.checked_sub(1)?;
        let (end, node): (usize, Make) = match page.first()? {
            1 => (value_end(&page, count, last, widths)?, Node::Leaf),
            2 => (branch_end(&page, count, widths)?, |page, keys| Node::Branch(page, keys + 1)),
            _ => return None,
        };
        (XxHash3_128::oneshot(page.get(..end)?) == checksum).then(|| node(page, count))
    }

    /// The bytes of a page; `None` when it lies outside the file or the disk
    /// does not give it.
    fn page(&self, number: u64) -> Option<Vec<u8>> {
        let order = number >> 59;
        if order > ORDER_MAX {
            return None;
        }
        let index = number & (0xf_ffff >> order);
        let region = (number >> 20) & 0xf_ffff;
        let Geometry { header_pages, region_pages } = self.geometry;
        let size = PAGE << order;
        // At most 2^20 regions of 2^21 pages of 2^12 bytes, and 2^20 pages more.
        let region_size = (header_pages + region_pages) * PAGE;
        let start = PAGE + region * region_size + header_pages * PAGE + index * size;
        if start.checked_add(size)? > self.size {
            return None;
        }
        let mut page = vec![0; usize::try_from(size).ok()?];
        self.bytes.fill(start, &mut page).ok()?;
        Some(page)
    }
}

/// What is done with a row.
type Visit<'v, E> = dyn FnMut(&[u8], &[u8]) -> Result<(), E> + 'v;
/// Of a page's bytes and count.
type Make = fn(Vec<u8>, usize) -> Node;

struct Walk<'v, E> {
    widths: Widths,
    visit: &'v mut Visit<'v, E>,
    walked: Walked,
}

impl Head {
    fn parse(head: &[u8; HEAD]) -> Self {
        let god = head[MAGIC.len()];
        let [first, second] = SLOTS.map(|at| head[at..].first_chunk().expect("128 bytes follow"));
        Self {
            magic: head.starts_with(MAGIC),
            primary: usize::from(god & 1),
            unclean: god & 2 != 0,
            two_phases: god & 4 != 0,
            known_form: first[0] == FORMAT && second[0] == FORMAT,
            slots: [Commit::parse(first), Commit::parse(second)],
        }
    }
}

impl Geometry {
    fn parse(head: &[u8; HEAD]) -> Option<Self> {
        let [page, header_pages, region_pages] =
            [12, 16, 20].map(|at| u32_at(head, at).map(u64::from));
        let (header_pages, region_pages) = (header_pages?, region_pages?);
        let usable = page? == PAGE
            && header_pages <= REGION_PAGES_MAX
            && (1..=REGION_PAGES_MAX).contains(&region_pages);
        usable.then_some(Self { header_pages, region_pages })
    }
}

impl Commit {
    /// `None` unless the slot is what was written.
    fn parse(slot: &[u8; SLOT_BODY + 16]) -> Option<Self> {
        let checksum = u128_at(slot, SLOT_BODY)?;
        if slot[0] != FORMAT || XxHash3_128::oneshot(&slot[..SLOT_BODY]) != checksum {
            return None;
        }
        let tree = |is_there: u8, at: usize| match is_there {
            0 => None,
            _ => Tree::parse(slot, at),
        };
        Some(Self { id: u64_at(slot, 104)?, user: tree(slot[1], 8), system: tree(slot[2], 40) })
    }
}

impl Tree {
    fn parse(bytes: &[u8], at: usize) -> Option<Self> {
        let (page, checksum) = (u64_at(bytes, at)?, u128_at(bytes, at + 8)?);
        Some(Self { page, checksum, rows: u64_at(bytes, at + 24)? })
    }
}

impl Definition {
    /// `None` for a table of another kind than ours are.
    fn parse(name: &[u8], bytes: &[u8]) -> Option<Self> {
        const PLAIN: u8 = 3;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let width = |at: usize| match bytes.get(at)? {
            0 => Some(None),
            _ => Some(Some(usize::try_from(u32_at(bytes, at + 1)?).ok()?)),
        };
        let is_plain = *bytes.first()? == PLAIN;
        let tree = if *bytes.get(9)? == 0 { None } else { Some(Tree::parse(bytes, 10)?) };
        let widths = Widths { key: width(42)?, value: width(47)? };
        let length = usize::try_from(u32_at(bytes, 60)?).ok()?;
        let (key_type, value_type) = bytes.get(64..)?.split_at_checked(length)?;
        // In front of a type's name stands a byte that says whose it is.
        let (key_type, value_type) = (text(key_type.get(1..)?)?, text(value_type.get(1..)?)?);
        is_plain.then_some(Self { name: text(name)?, tree, widths, key_type, value_type })
    }
}

/// Where the keys of a leaf begin.
fn leaf_keys(rows: usize, widths: Widths) -> usize {
    let ends = usize::from(widths.key.is_none()) + usize::from(widths.value.is_none());
    4 + 4 * rows * ends
}

fn key_end(page: &[u8], rows: usize, row: usize, widths: Widths) -> Option<usize> {
    match widths.key {
        Some(width) => leaf_keys(rows, widths).checked_add(width.checked_mul(row + 1)?),
        None => usize::try_from(u32_at(page, 4 + 4 * row)?).ok(),
    }
}

fn value_end(page: &[u8], rows: usize, row: usize, widths: Widths) -> Option<usize> {
    match widths.value {
        Some(width) => {
            let keys = key_end(page, rows, rows.checked_sub(1)?, widths)?;
            keys.checked_add(width.checked_mul(row + 1)?)
        }
        None => {
            let before = if widths.key.is_none() { rows } else { 0 };
            usize::try_from(u32_at(page, 4 + 4 * (before + row))?).ok()
        }
    }
}

fn leaf_row(page: &[u8], rows: usize, row: usize, widths: Widths) -> Option<(&[u8], &[u8])> {
    let (key_start, value_start) = match row.checked_sub(1) {
        None => (leaf_keys(rows, widths), key_end(page, rows, rows.checked_sub(1)?, widths)?),
        Some(above) => (key_end(page, rows, above, widths)?, value_end(page, rows, above, widths)?),
    };
    let key = page.get(key_start..key_end(page, rows, row, widths)?)?;
    Some((key, page.get(value_start..value_end(page, rows, row, widths)?)?))
}

/// Where a branch of so many keys ends.
fn branch_end(page: &[u8], keys: usize, widths: Widths) -> Option<usize> {
    let children = 8 + 24 * (keys + 1);
    match widths.key {
        Some(width) => children.checked_add(width.checked_mul(keys)?),
        None => usize::try_from(u32_at(page, children + 4 * (keys - 1))?).ok(),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

fn u128_at(bytes: &[u8], at: usize) -> Option<u128> {
    bytes.get(at..)?.first_chunk().map(|chunk| u128::from_le_bytes(*chunk))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A file in memory.
    #[derive(Debug)]
    pub struct Memory(pub Vec<u8>);

    impl Bytes for Memory {
        fn size(&self) -> io::Result<u64> {
            Ok(self.0.len() as u64)
        }

        fn fill(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let from = usize::try_from(offset).ok().and_then(|at| self.0.get(at..));
            let from = from.and_then(|rest| rest.get(..out.len()));
            out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }

    #[test]
    fn sums_are_redb_s() {
        // Of nothing, from the definition of XXH3.
        assert_eq!(XxHash3_128::oneshot(b""), 0x99aa_06d3_0147_98d8_6001_c324_468d_497f);
    }

    proptest! {
        #[test]
        fn no_head_is_too_strange(
            head in prop::collection::vec(any::<u8>(), 0..400),
            body in prop::collection::vec(any::<u8>(), 0..9_000),
        ) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend(head);
            bytes.resize(bytes.len().max(4_096), 1);
            bytes.extend(body);
            let memory = Memory(bytes);
            let pages = Pages::of(&memory).expect("a size");
            prop_assert!(pages.check().is_err());
            prop_assert_eq!(pages.commits(), []);
        }

        #[test]
        fn no_definition_and_no_leaf_is_too_strange(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            rows in 1_usize..70_000,
            key in prop::option::of(0_usize..40),
            value in prop::option::of(any::<u32>()),
        ) {
            let _ = Definition::parse(b"name", &bytes);
            let widths = Widths { key, value: value.map(|width| width as usize) };
            for row in [0, 1, rows - 1] {
                let _ = leaf_row(&bytes, rows, row, widths);
            }
            let _ = branch_end(&bytes, rows, widths);
        }
    }
}
