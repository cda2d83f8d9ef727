//! [`Lists`]: a list of numbers for each number, in one flat array.

/// Lists of numbers. List `i` is `items[starts[i]..starts[i + 1]]`.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Lists {
    /// `count` lists of pairs (list, item); each list keeps the order of the pairs.
    pub(super) fn of(count: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut starts = vec![0_u32; count + 1];
        for (list, _) in pairs.clone() {
            starts[list as usize + 1] += 1;
        }
        for list in 0..count {
            starts[list + 1] += starts[list];
        }
        let mut next = starts.clone();
        let mut items = vec![0; starts[count] as usize];
        for (list, item) in pairs {
            items[next[list as usize] as usize] = item;
            next[list as usize] += 1;
        }
        Self { starts, items }
    }

    pub(super) fn get(&self, list: u32) -> &[u32] {
        let list = list as usize;
        &self.items[self.starts[list] as usize..self.starts[list + 1] as usize]
    }
}

/// A number of things as the number of one of them.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).expect("a picture has fewer than 2^32 parts")
}

/// A number of things as a length, or a share of one.
#[expect(clippy::cast_precision_loss, reason = "places need no more than 24 bits")]
pub(super) fn length(count: usize) -> f32 {
    count as f32
}
