//! The bytes of a packed call: what is written in the parent, and how it is read in the child.
//!
//! ```text
//! payload = flags (1 byte)  [key: length, pickle]  literals: length, pickle of a list  operations
//! ```
//!
//! Numbers are 32 bits, little-endian. The operations work on a stack, like those of a graph's arguments in
//! the crate; what is left on it at the end is the value of the call.

/// The run has hooks: the key of the task follows.
pub(crate) const HAS_KEY: u8 = 1;

/// The literals are the first input.
pub(crate) const LITERALS_ARE_AN_INPUT: u8 = 2;

/// One step of putting a call together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Push the next input.
    Input,
    /// Push the next literal.
    Literal,
    /// Make a list of so many.
    List(u32),
    /// Make a tuple of so many.
    Tuple(u32),
    /// Make a set of so many.
    Set(u32),
    /// Make a dictionary of so many keys and values, in turn.
    Dict(u32),
    /// Call a function with so many arguments and so many pairs of names and values behind them.
    Call { function: u32, arguments: u32, named: u32 },
    /// Call the object below so many pairs of keys and values with a dictionary of those.
    Itself(u32),
}

impl Operation {
    pub(crate) fn write(self, to: &mut Vec<u8>) {
        let mut put = |code: u8, numbers: &[u32]| {
            to.push(code);
            to.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        };
        match self {
            Self::Input => put(0, &[]),
            Self::Literal => put(1, &[]),
            Self::List(count) => put(2, &[count]),
            Self::Tuple(count) => put(3, &[count]),
            Self::Set(count) => put(4, &[count]),
            Self::Dict(count) => put(5, &[count]),
            Self::Call { function, arguments, named } => put(6, &[function, arguments, named]),
            Self::Itself(count) => put(7, &[count]),
        }
    }
}

/// Reads a payload.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*number))
    }

    /// Bytes behind their length.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The next operation; none at the end, or if there is none of that kind.
    pub(crate) fn operation(&mut self) -> Option<Operation> {
        Some(match self.byte()? {
            0 => Operation::Input,
            1 => Operation::Literal,
            2 => Operation::List(self.number()?),
            3 => Operation::Tuple(self.number()?),
            4 => Operation::Set(self.number()?),
            5 => Operation::Dict(self.number()?),
            6 => Operation::Call {
                function: self.number()?,
                arguments: self.number()?,
                named: self.number()?,
            },
            7 => Operation::Itself(self.number()?),
            _ => return None,
        })
    }
}

/// Writes bytes behind their length.
pub(crate) fn write_bytes(bytes: &[u8], to: &mut Vec<u8>) -> Option<()> {
    to.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_le_bytes());
    to.extend_from_slice(bytes);
    Some(())
}
