//! [`Strata`]: a graph in rows, cut so that each link leads from a row to the next one.
//!
//! An edge that passes rows gets a *bend* in each of them. Edges that share an end share their bends: the
//! long edges into a node (or out of it) form one trunk, as cables do. So a thousand tasks that feed one need
//! a bend a row, not one for each task and row; and the picture shows a bundle, not a thousand lines. There is
//! a budget for bends all the same; the longest edges that exceed it run straight, behind the nodes.

use super::lists::{Lists, number};

/// How many bends there may be, by node and edge.
const BENDS: usize = 6;

/// A graph in rows. *Entries* are nodes, by their numbers, and the bends behind them.
#[derive(Debug)]
pub(super) struct Strata {
    /// How many of the entries are nodes.
    pub(super) nodes: usize,
    /// By row: its entries from left to right.
    pub(super) rows: Vec<Vec<u32>>,
    /// By entry: its row.
    pub(super) row_of: Vec<u32>,
    /// From an entry to one in the next row, each pair once.
    pub(super) links: Vec<(u32, u32)>,
    /// By entry: the links that come from above.
    pub(super) above: Lists,
    /// By entry: the links that go down.
    pub(super) below: Lists,
    /// By edge: the bends that it passes, from top to bottom.
    pub(super) bends: Vec<Bends>,
}

/// The bends of an edge: so many entries from the first one on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bends {
    pub(super) first: u32,
    pub(super) count: u32,
}

/// The bends that the long edges of a node share, in the rows `from..to`.
#[derive(Clone, Copy, Debug, Default)]
struct Trunk {
    first: u32,
    from: u32,
    to: u32,
}

impl Trunk {
    fn len(self) -> u32 {
        self.to - self.from
    }

    /// How many more bends it takes to cover these rows, too.
    fn growth(self, from: u32, to: u32) -> u32 {
        self.widened(from, to).len() - self.len()
    }

    fn widened(self, from: u32, to: u32) -> Self {
        if self.len() == 0 {
            return Self { first: 0, from, to };
        }
        Self { first: 0, from: self.from.min(from), to: self.to.max(to) }
    }
}

impl Strata {
    /// Cuts the edges, which lead down, of nodes in rows.
    pub(super) fn of(row_of: Vec<u32>, edges: &[(u32, u32)]) -> Self {
        let nodes = row_of.len();
        let trunks = Trunks::of(&row_of, edges);
        let mut strata = Self {
            nodes,
            rows: Vec::new(),
            row_of,
            links: Vec::new(),
            above: Lists::default(),
            below: Lists::default(),
            bends: vec![Bends::default(); edges.len()],
        };
        strata.add_bends(&trunks);
        for (edge, (from, to)) in edges.iter().enumerate() {
            strata.link(&trunks, edge, *from, *to);
        }
        strata.links.sort_unstable();
        strata.links.dedup();
        let entries = strata.row_of.len();
        let numbered = || strata.links.iter().zip(0..);
        strata.above = Lists::of(entries, numbered().map(|(&(_, lower), link)| (lower, link)));
        strata.below = Lists::of(entries, numbered().map(|(&(upper, _), link)| (upper, link)));
        strata.rows = strata.first_rows();
        strata
    }

    pub(super) fn is_bend(&self, entry: u32) -> bool {
        entry as usize >= self.nodes
    }

    fn add_bends(&mut self, trunks: &Trunks) {
        for trunk in trunks.out_of.iter().chain(&trunks.into) {
            debug_assert!(trunk.len() == 0 || trunk.first as usize == self.row_of.len());
            self.row_of.extend(trunk.from..trunk.to);
        }
    }

    fn link(&mut self, trunks: &Trunks, edge: usize, from: u32, to: u32) {
        let (top, bottom) = (self.row_of[from as usize], self.row_of[to as usize]);
        let (first, count) = match trunks.way[edge] {
            Way::Straight => return,
            Way::Short => (0, 0),
            Way::OutOf => (trunks.out_of[from as usize].first, bottom - top - 1),
            Way::Into => {
                let trunk = trunks.into[to as usize];
                (trunk.first + (top + 1 - trunk.from), bottom - top - 1)
            }
        };
        self.bends[edge] = Bends { first, count };
        let mut upper = from;
        for bend in first..first + count {
            self.links.push((upper, bend));
            upper = bend;
        }
        self.links.push((upper, to));
    }

    /// The rows in the order in which a walk down from each node meets their entries, so that what belongs
    /// together stands together to begin with.
    fn first_rows(&self) -> Vec<Vec<u32>> {
        let count = self.row_of.iter().max().map_or(0, |row| *row as usize + 1);
        let mut rows = vec![Vec::new(); count];
        let mut seen = vec![false; self.row_of.len()];
        let mut stack = Vec::new();
        let mut starts: Vec<u32> = (0..number(self.nodes)).collect();
        starts.sort_by_key(|node| self.row_of[*node as usize]);
        for start in starts {
            stack.push(start);
            while let Some(entry) = stack.pop() {
                if std::mem::replace(&mut seen[entry as usize], true) {
                    continue;
                }
                rows[self.row_of[entry as usize] as usize].push(entry);
                let below = self.below.get(entry).iter().rev();
                stack.extend(below.map(|link| self.links[*link as usize].1));
            }
        }
        rows
    }
}

/// How an edge gets to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Its end is in the next row.
    Short,
    /// With other edges that begin where it begins.
    OutOf,
    /// With other edges that end where it ends.
    Into,
    /// Without bends, as there are too many.
    Straight,
}

struct Trunks {
    /// By node: the trunk of edges that leave it, and of edges that come to it.
    out_of: Vec<Trunk>,
    into: Vec<Trunk>,
    /// By edge.
    way: Vec<Way>,
}

impl Trunks {
    fn of(row_of: &[u32], edges: &[(u32, u32)]) -> Self {
        let nodes = row_of.len();
        let span =
            |&(from, to): &(u32, u32)| row_of[to as usize].saturating_sub(row_of[from as usize]);
        let mut long: Vec<usize> =
            (0..edges.len()).filter(|edge| span(&edges[*edge]) > 1).collect();
        long.sort_by_key(|edge| span(&edges[*edge]));
        let (mut going, mut coming) = (vec![0_u32; nodes], vec![0_u32; nodes]);
        for edge in &long {
            going[edges[*edge].0 as usize] += 1;
            coming[edges[*edge].1 as usize] += 1;
        }
        let way = |edge| if span(edge) == 1 { Way::Short } else { Way::Straight };
        let mut trunks = Self {
            out_of: vec![Trunk::default(); nodes],
            into: vec![Trunk::default(); nodes],
            way: edges.iter().map(way).collect(),
        };
        let mut left = BENDS * (nodes + edges.len());
        for edge in long {
            let (from, to) = edges[edge];
            let (top, bottom) = (row_of[from as usize] + 1, row_of[to as usize]);
            let leaves = going[from as usize] >= coming[to as usize];
            let trunk = if leaves {
                &mut trunks.out_of[from as usize]
            } else {
                &mut trunks.into[to as usize]
            };
            let growth = trunk.growth(top, bottom) as usize;
            if growth <= left {
                left -= growth;
                *trunk = trunk.widened(top, bottom);
                trunks.way[edge] = if leaves { Way::OutOf } else { Way::Into };
            }
        }
        let mut first = number(nodes);
        for trunk in trunks.out_of.iter_mut().chain(&mut trunks.into) {
            trunk.first = first;
            first += trunk.len();
        }
        trunks
    }
}

#[cfg(test)]
mod tests {
    use super::Strata;

    /// Nodes in the rows 0, 1 and 2 that all feed the one in row 3.
    fn funnel() -> Strata {
        Strata::of(vec![0, 1, 2, 3], &[(0, 3), (1, 3), (2, 3)])
    }

    #[test]
    fn edges_to_one_node_share_their_bends() {
        let strata = funnel();
        assert_eq!(strata.row_of, [0, 1, 2, 3, 1, 2]);
        assert_eq!(strata.links, [(0, 4), (1, 5), (2, 3), (4, 5), (5, 3)]);
        assert_eq!(strata.bends.iter().map(|bends| bends.count).collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(strata.bends[1].first, 5);
    }

    #[test]
    fn edges_out_of_one_node_share_their_bends() {
        let strata = Strata::of(vec![0, 1, 2, 3], &[(0, 1), (0, 2), (0, 3)]);
        assert_eq!(strata.row_of, [0, 1, 2, 3, 1, 2]);
        assert_eq!(strata.links, [(0, 1), (0, 4), (4, 2), (4, 5), (5, 3)]);
    }

    #[test]
    fn each_entry_stands_in_one_row() {
        let strata = funnel();
        assert_eq!(strata.rows.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 2, 1]);
        for (row, entries) in strata.rows.iter().enumerate() {
            assert!(entries.iter().all(|entry| strata.row_of[*entry as usize] as usize == row));
        }
    }

    #[test]
    fn bends_have_a_budget() {
        // A long chain, and between its tasks edges of all lengths: each needs bends of its own.
        let nodes = 2000;
        let chain = (0..nodes - 1).map(|node| (node, node + 1));
        let far = (0..nodes).map(|node| (node, node + (node * 7919) % 997 + 2));
        let edges: Vec<_> = chain.chain(far).filter(|(_, to)| *to < nodes).collect();
        let strata = Strata::of((0..nodes).collect(), &edges);
        let entries = strata.row_of.len();
        assert!(entries <= 7 * (nodes as usize + edges.len()), "{entries} entries");
        assert!(strata.links.len() <= 8 * (nodes as usize + edges.len()));
    }
}
