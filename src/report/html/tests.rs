//! The page: nothing in it is markup that came with a key, its numbers are those of the recording, and what is packed
//! can be read again.
