//! The form in which a value stands in a file: header, payload, trailer.
//!
//! It works on any reader and writer; which file, and what becomes of it after a failure, is the
//! caller's affair. It notices damage, not forgery.
//!
//! ```text
//! header   magic 8 | version 2 | flags 1 | word size 1 | byte order 4 | type mark 8
//! payload  what the codec wrote, as it is or as an LZ4 frame
//! trailer  payload bytes 8 | bytes before compression 8 | payload checksum 8 |
//!          checksum of header and trailer 8 | end mark 8
//! ```
//!
//! Numbers are in the byte order of the machine, as those in the payload are, and the header says
//! which that is. Checksums are XXH3 with 64 bits. The lengths are checked before anything is read
//! by them, and a codec that is not known to be robust sees only bytes whose checksum was right.

use std::error::Error;
use std::hash::Hasher as _;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use twox_hash::xxhash3_64::Hasher;

use crate::value::{CodecError, Reviver, Source, Value};

const MAGIC: [u8; 8] = *b"MOBVALUE";
const END: [u8; 8] = *b"MOBENDED";
const VERSION: u16 = 1;
const COMPRESSED: u8 = 1;
const BYTE_ORDER: u32 = 0x0102_0304;
/// The size of `usize` in bits, which lengths and `usize` data are written with.
#[expect(clippy::cast_possible_truncation, reason = "no machine has words of 256 bits")]
const WORD: u8 = usize::BITS as u8;

const HEADER: usize = 24;
const TRAILER: usize = 40;
/// Header and trailer together, in bytes.
const FRAME: u64 = (HEADER + TRAILER) as u64;

/// What is hashed and handed to the system at a time: it stays in the processor's cache between the two,
/// and a cancelled write ends soon.
const PIECE: usize = 256 << 10;
/// Small reads and writes of codecs are gathered to this size.
const BUFFER: usize = 64 << 10;

/// Why a value was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    Cancelled,
    Io(io::Error),
    /// The codec refused, or there is none.
    Codec(Box<dyn Error + Send + Sync>),
}

/// Why a value was not read.
#[derive(Debug)]
pub(crate) enum ReadError {
    Io(io::Error),
    /// The file is not what was written.
    Damaged(String),
    /// The file is what was written, but the codec cannot read it.
    Codec(Box<dyn Error + Send + Sync>),
}

/// Writes a value, and tells how many bytes that took.
///
/// `is_cancelled` is asked before each piece. After an error `out` holds a part of a value, which
/// [`read_value`] refuses.
pub(crate) fn write_value(
    value: &Value,
    out: &mut dyn Write,
    compress: bool,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<u64, WriteError> {
    let header = header(value.type_name(), compress);
    out.write_all(&header).map_err(WriteError::Io)?;
    let mut stored = Stored { out, hasher: Hasher::new(), bytes: 0, is_cancelled, failure: None };
    let encoded = if compress {
        write_compressed(value, &mut stored)
    } else {
        write_plain(value, &mut stored)
    };
    // If the writer failed, what the codec made of it does not matter.
    if let Some(failure) = stored.failure {
        return Err(failure);
    }
    let plain = encoded.map_err(|error| match error {
        CodecError::Io(error) => WriteError::Codec(error.into()),
        CodecError::Data(error) => WriteError::Codec(error),
    })?;

    let mut trailer = [0; TRAILER];
    let numbers = [stored.bytes, plain, stored.hasher.finish()];
    for (place, number) in trailer.chunks_exact_mut(8).zip(numbers) {
        place.copy_from_slice(&number.to_ne_bytes());
    }
    let checksum = frame_checksum(&header, &trailer);
    trailer[24..32].copy_from_slice(&checksum.to_ne_bytes());
    trailer[32..].copy_from_slice(&END);
    stored.out.write_all(&trailer).map_err(WriteError::Io)?;
    Ok(FRAME + stored.bytes)
}

/// Reads a value that fills the whole file, and checks everything there is to check.
pub(crate) fn read_value(
    file: &mut (impl Read + Seek),
    reviver: &Reviver,
) -> Result<Value, ReadError> {
    let frame = Frame::read(file, reviver.type_name())?;
    file.seek(SeekFrom::Start(HEADER as u64)).map_err(ReadError::Io)?;
    let mut checked = Checked { inner: file.take(frame.stored), hasher: Hasher::new() };
    if !reviver.is_robust() {
        // The first pass: what follows comes from the system's cache.
        frame.check(&mut checked)?;
        let file = checked.inner.into_inner();
        file.seek(SeekFrom::Start(HEADER as u64)).map_err(ReadError::Io)?;
        checked = Checked { inner: file.take(frame.stored), hasher: Hasher::new() };
    }
    let decoded = if frame.is_compressed {
        let mut reader = FrameDecoder::new(&mut checked);
        reviver.decode(&mut Source::new(&mut reader, frame.plain))
    } else {
        let mut reader = BufReader::with_capacity(BUFFER, &mut checked);
        reviver.decode(&mut Source::new(&mut reader, frame.plain))
    };
    // Damage explains why the codec failed, so it is asked for first.
    frame.check(&mut checked)?;
    decoded.map_err(|error| match error {
        CodecError::Io(error) => ReadError::Io(error),
        CodecError::Data(error) => ReadError::Codec(error),
    })
}

fn header(type_name: &str, compress: bool) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_ne_bytes());
    header[10] = if compress { COMPRESSED } else { 0 };
    header[11] = WORD;
    header[12..16].copy_from_slice(&BYTE_ORDER.to_ne_bytes());
    header[16..].copy_from_slice(&Hasher::oneshot(type_name.as_bytes()).to_ne_bytes());
    header
}

/// Of the header and of the numbers of the trailer.
fn frame_checksum(header: &[u8; HEADER], trailer: &[u8; TRAILER]) -> u64 {
    let mut hasher = Hasher::new();
    hasher.write(header);
    hasher.write(&trailer[..24]);
    hasher.finish()
}

fn write_plain(value: &Value, stored: &mut Stored<'_>) -> Result<u64, CodecError> {
    let mut buffered = BufWriter::with_capacity(BUFFER, &mut *stored);
    let encoded = value.encode(&mut buffered).and_then(|()| Ok(buffered.flush()?));
    // Dropped as a whole it would write what is left, also after an error.
    let (stored, _rest) = buffered.into_parts();
    encoded.map(|()| stored.bytes)
}

/// Compresses in blocks that stand alone, so that each is worked on in the cache.
fn write_compressed(value: &Value, stored: &mut Stored<'_>) -> Result<u64, CodecError> {
    let info = FrameInfo::new().block_size(BlockSize::Max256KB).block_mode(BlockMode::Independent);
    let mut counted = Counted { inner: FrameEncoder::with_frame_info(info, stored), bytes: 0 };
    value.encode(&mut counted)?;
    counted.inner.finish().map_err(CodecError::data)?;
    Ok(counted.bytes)
}

/// What header and trailer say, once it is known to be true.
struct Frame {
    is_compressed: bool,
    stored: u64,
    plain: u64,
    checksum: u64,
}

impl Frame {
    fn read(file: &mut (impl Read + Seek), type_name: &str) -> Result<Self, ReadError> {
        let length = file.seek(SeekFrom::End(0)).map_err(ReadError::Io)?;
        let damaged = |what: &str| Err(ReadError::Damaged(what.to_owned()));
        let Some(stored) = length.checked_sub(FRAME) else {
            return damaged("it was cut short");
        };
        let (mut read, mut trailer) = ([0; HEADER], [0; TRAILER]);
        file.seek(SeekFrom::Start(0)).map_err(ReadError::Io)?;
        file.read_exact(&mut read).map_err(ReadError::Io)?;
        file.seek(SeekFrom::Start(HEADER as u64 + stored)).map_err(ReadError::Io)?;
        file.read_exact(&mut trailer).map_err(ReadError::Io)?;

        if read[..8] != MAGIC {
            return damaged("it does not begin as a value of Mobula does");
        }
        if trailer[32..] != END {
            return damaged("it was cut short");
        }
        let numbers: [u64; 4] = std::array::from_fn(|index| {
            let mut number = [0; 8];
            number.copy_from_slice(&trailer[index * 8..][..8]);
            u64::from_ne_bytes(number)
        });
        let is_compressed = read[10] == COMPRESSED;
        // All of the header is known beforehand but for one flag.
        let expected = header(type_name, is_compressed);
        if read[8..10] != expected[8..10] || read[11..16] != expected[11..16] {
            return damaged("it is of another version, or of another kind of machine");
        }
        if frame_checksum(&read, &trailer) != numbers[3] {
            return damaged("the checksum of its header is wrong");
        }
        if read != expected {
            return damaged("it holds a value of another type");
        }
        if numbers[0] != stored || (!is_compressed && numbers[1] != stored) {
            return damaged("it has not the length that was written");
        }
        Ok(Self { is_compressed, stored, plain: numbers[1], checksum: numbers[2] })
    }

    /// Reads what is left of the payload, and compares the checksum.
    fn check(&self, payload: &mut Checked<impl Read>) -> Result<(), ReadError> {
        let left = payload.inner.limit();
        let mut buffer = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
        while payload.inner.limit() > 0 {
            if payload.read(&mut buffer).map_err(ReadError::Io)? == 0 {
                return Err(ReadError::Damaged("it was cut short".to_owned()));
            }
        }
        if payload.hasher.finish() == self.checksum {
            Ok(())
        } else {
            Err(ReadError::Damaged("its checksum is wrong".to_owned()))
        }
    }
}

/// Writes the payload in pieces, and counts and hashes what was written.
struct Stored<'a> {
    out: &'a mut dyn Write,
    hasher: Hasher,
    bytes: u64,
    is_cancelled: &'a dyn Fn() -> bool,
    /// Why nothing is written any more. Kept here because a codec may lose it.
    failure: Option<WriteError>,
}

impl Write for Stored<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failure.is_none() && (self.is_cancelled)() {
            self.failure = Some(WriteError::Cancelled);
        }
        if self.failure.is_some() {
            return Err(io::Error::other("writing has ended"));
        }
        let piece = &bytes[..bytes.len().min(PIECE)];
        self.hasher.write(piece);
        if let Err(error) = self.out.write_all(piece) {
            let kind = error.kind();
            self.failure = Some(WriteError::Io(error));
            return Err(kind.into());
        }
        self.bytes += piece.len() as u64;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts what goes through it.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        // The blocks of a frame end where they are full, not where a codec flushes.
        Ok(())
    }
}

/// Hashes what is read, in pieces that are still in the cache then.
struct Checked<R> {
    inner: io::Take<R>,
    hasher: Hasher,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(PIECE);
        let read = self.inner.read(&mut buffer[..most])?;
        self.hasher.write(&buffer[..read]);
        Ok(read)
    }
}
