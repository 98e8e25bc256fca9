//! Headers of tar files: POSIX ustar and pax, and GNU's long names and large sizes.

/// Bytes of a header. Contents are padded to a multiple of it.
pub(super) const BLOCK: u64 = 512;
/// Bytes of the name in a header.
const NAME: usize = 100;
/// Where the checksum stands.
const CHECKSUM: std::ops::Range<usize> = 148..156;
/// The largest size that eleven octal digits can say.
#[cfg(feature = "train")]
const MOST_OCTAL: u64 = (1 << 33) - 1;

/// What follows a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file's content.
    File,
    /// Nothing: a folder.
    Folder,
    /// The name of the next entry.
    LongName,
    /// Records about the next entry.
    Records,
    /// What says nothing about contents and names: records about all entries, the target of a link.
    Remark,
    /// Another kind of entry, such as a link.
    Other,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The entry's name, as far as the header holds it.
    pub name: Vec<u8>,
    /// Bytes that follow, without padding.
    pub bytes: u64,
    /// What they are.
    pub kind: Kind,
}

/// Pax records about an entry.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Records {
    /// The entry's name.
    pub name: Option<Vec<u8>>,
    /// Bytes of its content.
    pub bytes: Option<u64>,
    /// Whether the content has holes that are left out.
    pub sparse: bool,
}

impl Header {
    /// Reads a header of 512 bytes. Gives none for zeros, which end a tar file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(block: &[u8]) -> Result<Option<Self>, &'static str> {
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let wanted = number(&block[CHECKSUM]).ok_or("its checksum is not a number")?;
        // Old programs have added up signed bytes.
        let sums = [checksum(block, i64::from), checksum(block, |byte| i64::from(byte as i8))];
        if !sums.iter().any(|&sum| u64::try_from(sum) == Ok(wanted)) {
            return Err("its checksum does not fit it");
        }
        let bytes = number(&block[124..136]).ok_or("its size is not a number")?;
        let mut name = text(&block[..NAME]).to_vec();
        let prefix = text(&block[345..500]);
        if &block[257..263] == b"ustar\0" && !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
        let kind = match block[156] {
            // Before there were types, a folder was a name that ends like one.
            0 if name.ends_with(b"/") => Kind::Folder,
            b'0' | 0 | b'7' => Kind::File,
            b'5' => Kind::Folder,
            b'L' => Kind::LongName,
            b'x' | b'X' => Kind::Records,
            b'g' | b'K' => Kind::Remark,
            _ => Kind::Other,
        };
        Ok(Some(Self { name, bytes, kind }))
    }
}

/// The sum of a header's bytes, with blanks in place of the checksum.
fn checksum(block: &[u8], value: impl Fn(u8) -> i64) -> i64 {
    let byte = |(i, &byte): (usize, &u8)| if CHECKSUM.contains(&i) { b' ' } else { byte };
    block.iter().enumerate().map(byte).map(value).sum()
}

/// A field up to its first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number: octal digits, or GNU's form, whose first bit is set, for those that need more.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((&first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        let first = u64::from(first & 0x7f);
        return rest
            .iter()
            .try_fold(first, |n, &byte| n.checked_mul(256)?.checked_add(u64::from(byte)));
    }
    let digits = text(field).trim_ascii();
    let is_octal = digits.iter().all(|digit| (b'0'..=b'7').contains(digit));
    // 22 digits need not fit.
    (is_octal && digits.len() <= 21)
        .then(|| digits.iter().fold(0, |n, digit| 8 * n + u64::from(digit - b'0')))
}

impl Records {
    /// Reads records `LENGTH NAME=VALUE\n`, whose length counts the whole record.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(mut rest: &[u8]) -> Result<Self, &'static str> {
        let mut found = Self::default();
        while !rest.is_empty() {
            let ((name, value), behind) = record(rest).ok_or("its pax records are damaged")?;
            rest = behind;
            match name {
                b"path" => found.name = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    found.bytes = Some(size.ok_or("its pax size is not a number")?);
                }
                _ => found.sparse |= name.starts_with(b"GNU.sparse."),
            }
        }
        Ok(found)
    }
}

/// Name and value of a record.
type Record<'b> = (&'b [u8], &'b [u8]);

/// The first record, and what follows it.
fn record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let blank = bytes.iter().position(|&byte| byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
    let record = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|&byte| byte == b'=')?;
    Some(((&record[..equals], &record[equals + 1..]), &bytes[length..]))
}

/// The header of a file, with one for its name in front if that is long. Time and owner are 0, so
/// that equal contents make equal tar files.
#[cfg(feature = "train")]
pub(super) fn of_file(name: &str, bytes: u64) -> Vec<u8> {
    let mut head = Vec::new();
    if name.len() > NAME {
        let long = [name.as_bytes(), b"\0"].concat();
        head.extend(made(b"././@LongLink", long.len() as u64, b'L'));
        head.extend(&long);
        head.resize(head.len().next_multiple_of(BLOCK as usize), 0);
    }
    head.extend(made(name.as_bytes(), bytes, b'0'));
    head
}

#[cfg(feature = "train")]
fn made(name: &[u8], bytes: u64, kind: u8) -> [u8; BLOCK as usize] {
    let mut block = [0; BLOCK as usize];
    let mut put = |at: usize, field: &[u8]| block[at..at + field.len()].copy_from_slice(field);
    put(0, &name[..name.len().min(NAME)]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    match bytes > MOST_OCTAL {
        true => {
            put(124, &[0x80]);
            put(128, &bytes.to_be_bytes());
        }
        false => put(124, format!("{bytes:011o}\0").as_bytes()),
    }
    put(136, b"00000000000\0");
    put(156, &[kind]);
    put(257, b"ustar\x0000");
    let sum = checksum(&block, i64::from);
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is written is read, and a changed byte is found.
        #[test]
        fn headers_are_read_as_they_are_written(
            name in "[a-z0-9/._äß-]{1,40}",
            bytes in prop_oneof![0u64..10_000_000, any::<u64>()],
            at in 0usize..512,
            change in 1u8..=255,
        ) {
            let mut block = of_file(&name, bytes);
            prop_assert_eq!(block.len(), 512);
            let wanted = Header { name: name.into_bytes(), bytes, kind: Kind::File };
            prop_assert_eq!(Header::parse(&block), Ok(Some(wanted.clone())));
            block[at] ^= change;
            // A change within the checksum's field may be one of its form alone.
            if !CHECKSUM.contains(&at) {
                prop_assert_ne!(Header::parse(&block), Ok(Some(wanted)));
            }
        }

        /// Any bytes are a header, the end or an error.
        #[test]
        fn nothing_panics(
            block in prop::collection::vec(any::<u8>(), 512..513),
            records in prop::collection::vec(any::<u8>(), 0..80),
            length in "[0-9]{0,25} path=a\n",
        ) {
            let _ = Header::parse(&block);
            let _ = Records::parse(&records);
            let _ = Records::parse(length.as_bytes());
        }
    }

    #[test]
    fn long_names_have_a_header_of_their_own() {
        let name = "n".repeat(700);
        let head = of_file(&name, 5);
        assert_eq!(head.len(), 512 + 1024 + 512);
        let long = Header::parse(&head[..512]).unwrap().unwrap();
        assert_eq!((long.kind, long.bytes), (Kind::LongName, 701));
        assert_eq!(text(&head[512..1536]), name.as_bytes());
        let own = Header::parse(&head[1536..]).unwrap().unwrap();
        assert_eq!((own.kind, own.bytes), (Kind::File, 5));
        assert_eq!(of_file(&"n".repeat(100), 5).len(), 512);
    }

    #[test]
    fn numbers_have_two_forms() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"  644 \0x"), Some(0o644));
        assert_eq!(number(b"\0\0\0"), Some(0));
        assert_eq!(number(b"77777777777"), Some(MOST_OCTAL));
        assert_eq!(number(b"\x80\0\0\0\x02\0\0\0\0"), Some(1 << 33));
        for bad in [b"12a\0".as_slice(), b"-1", b"8", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn records_tell_name_and_size() {
        let all = b"12 mtime=17\n13 path=a b=\n20 size=12345678901\n";
        let wanted =
            Records { name: Some(b"a b=".to_vec()), bytes: Some(12_345_678_901), sparse: false };
        assert_eq!(Records::parse(all), Ok(wanted));
        assert!(Records::parse(b"24 GNU.sparse.major=1.0\n").unwrap().sparse);
        for bad in ["x", "5 a=b", "0 a=b\n", "99 a=b\n", "7 size\n", "9 size=x\n"] {
            assert!(Records::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
