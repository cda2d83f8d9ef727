//! The input: months of flights as compressed CSV files, and how a row becomes a [`Flight`].

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use csv::{ByteRecord, ReaderBuilder};
use flate2::read::GzDecoder;
use mobula::BoxError;

const HEADER: &str = "year,month,day,carrier,origin,dest,dep_delay,arr_delay,air_time,distance";

/// A two-letter code, such as `UA`.
pub(crate) type Carrier = [u8; 2];

/// Two airports, from and to, each a three-letter code.
pub(crate) type Route = ([u8; 3], [u8; 3]);

/// One row, as far as it is used here. Delays are in minutes; those of a flight that was cancelled
/// are missing.
pub(crate) struct Flight {
    pub(crate) carrier: Carrier,
    pub(crate) route: Route,
    pub(crate) departure_delay: Option<i64>,
    pub(crate) arrival_delay: Option<i64>,
}

/// A partition of the data.
pub(crate) struct Month {
    /// Such as `2013-01`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

/// The months in a directory, in order; at least one.
pub(crate) fn months(directory: &Path) -> Result<Vec<Month>, BoxError> {
    let within = |error| format!("{}: {error}", directory.display());
    let mut months = Vec::new();
    for entry in fs::read_dir(directory).map_err(within)? {
        let path = entry.map_err(within)?.path();
        let file = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = file.and_then(|name| name.strip_suffix(".csv.gz")) {
            months.push(Month { name: name.to_owned(), path });
        }
    }
    months.sort_by(|one, other| one.name.cmp(&other.name));
    if months.is_empty() {
        return Err(format!("{} has no *.csv.gz", directory.display()).into());
    }
    Ok(months)
}

/// The text of a file, with its header.
pub(crate) fn load(path: &Path) -> Result<Bytes, BoxError> {
    let mut text = Vec::new();
    GzDecoder::new(File::open(path)?).read_to_end(&mut text)?;
    if !text.starts_with(HEADER.as_bytes()) {
        return Err(format!("{} does not begin with {HEADER}", path.display()).into());
    }
    Ok(text.into())
}

/// Part number `part` of `parts` about equal parts of a text: whole rows, without the header.
/// Nothing is copied.
pub(crate) fn split(text: &Bytes, part: usize, parts: usize) -> Bytes {
    // A cut falls behind the next end of a line, so the first one falls behind the header.
    let cut = |part: usize| {
        let at = text.len() * part / parts;
        text[at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| at + end + 1)
    };
    text.slice(cut(part)..cut(part + 1))
}

/// Calls `each` with every flight in `rows`.
pub(crate) fn each_flight(rows: &[u8], mut each: impl FnMut(&Flight)) -> Result<(), BoxError> {
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(rows);
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        let flight = Flight::parse(&record).map_err(|error| format!("{error} in {record:?}"))?;
        each(&flight);
    }
    Ok(())
}

impl Flight {
    fn parse(record: &ByteRecord) -> Result<Self, BoxError> {
        Ok(Self {
            carrier: record[3].try_into()?,
            route: (record[4].try_into()?, record[5].try_into()?),
            departure_delay: minutes(&record[6])?,
            arrival_delay: minutes(&record[7])?,
        })
    }
}

/// An empty field is a missing value.
fn minutes(field: &[u8]) -> Result<Option<i64>, BoxError> {
    let number = || Ok(std::str::from_utf8(field)?.parse()?);
    (!field.is_empty()).then(number).transpose()
}
