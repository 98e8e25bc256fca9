//! Kaldi's form (`ivector-compute-plda`): the token `<Plda>`, mean, transform, variances, and the
//! token `</Plda>`; binary or text.

use super::Parts;

const BINARY: &[u8] = b"\0B";
const BEGIN: &[u8] = b"<Plda>";
const END: &[u8] = b"</Plda>";

pub(super) fn is_it(bytes: &[u8]) -> bool {
    bytes.strip_prefix(BINARY).unwrap_or(bytes.trim_ascii_start()).starts_with(BEGIN)
}

pub(super) fn read(bytes: &[u8]) -> Result<Parts, String> {
    let (mu, shape, transform, psi) = match bytes.strip_prefix(BINARY) {
        Some(rest) => binary(rest)?,
        None => text(bytes)?,
    };
    let dim = mu.len();
    if shape != [dim, dim] {
        return Err(format!("a mean of {dim} values and a transform of {shape:?}"));
    }
    Ok(Parts { mu, psi, transform, length_norm: false, lacks_mean: false })
}

/// Mean, shape of the transform, the transform, variances.
type Content = (Vec<f64>, [usize; 2], Vec<f64>, Vec<f64>);

/// What is left of a file.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn token(&mut self, token: &[u8]) -> Result<(), String> {
        let found = self.take(token.len() + 1)?;
        match found.strip_suffix(b" ") == Some(token) {
            true => Ok(()),
            false => Err(format!("`{}` is missing", String::from_utf8_lossy(token))),
        }
    }

    /// The size of a value after `DV`, `FV`, `DM` or `FM`.
    fn width(&mut self, kind: u8) -> Result<usize, String> {
        match *self.take(3)? {
            [b'D', k, b' '] if k == kind => Ok(8),
            [b'F', k, b' '] if k == kind => Ok(4),
            _ => Err(format!("`D{0}` or `F{0}` is missing", char::from(kind))),
        }
    }

    /// A number of 32 bits behind its size.
    fn count(&mut self) -> Result<usize, String> {
        match *self.take(5)? {
            [4, a, b, c, d] => usize::try_from(i32::from_le_bytes([a, b, c, d]))
                .map_err(|_| "a negative size".into()),
            _ => Err("a size is not a number of 32 bits".into()),
        }
    }

    fn values(&mut self, count: Option<usize>, width: usize) -> Result<Vec<f64>, String> {
        let bytes = count.and_then(|count| count.checked_mul(width)).ok_or("ends too early")?;
        let bytes = self.take(bytes)?;
        Ok(match width {
            4 => bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
            _ => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        })
    }

    fn vector(&mut self) -> Result<Vec<f64>, String> {
        let width = self.width(b'V')?;
        let count = self.count()?;
        self.values(Some(count), width)
    }
}

fn binary(bytes: &[u8]) -> Result<Content, String> {
    let mut cursor = Cursor(bytes);
    cursor.token(BEGIN)?;
    let mu = cursor.vector()?;
    let width = cursor.width(b'M')?;
    let shape = [cursor.count()?, cursor.count()?];
    let transform = cursor.values(shape[0].checked_mul(shape[1]), width)?;
    let psi = cursor.vector()?;
    cursor.token(END)?;
    match cursor.0.len() {
        0 => Ok((mu, shape, transform, psi)),
        more => Err(format!("{more} bytes follow its end")),
    }
}

fn text(bytes: &[u8]) -> Result<Content, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("not text: {e}"))?;
    let body = text.trim().strip_prefix("<Plda>").and_then(|t| t.strip_suffix("</Plda>"));
    let body = body.ok_or("`</Plda>` is missing")?;
    let mut arrays: Vec<(Vec<f64>, usize)> = Vec::new();
    let mut rest = body.trim();
    while !rest.is_empty() {
        let inside = rest.strip_prefix('[').and_then(|t| t.split_once(']'));
        let (inside, behind) = inside.ok_or("an array is not between [ and ]")?;
        let number = |word: &str| word.parse::<f64>().map_err(|_| format!("`{word}` is no number"));
        let values: Vec<f64> =
            inside.split_ascii_whitespace().map(number).collect::<Result<_, _>>()?;
        let lines = inside.lines().filter(|line| !line.trim().is_empty()).count();
        arrays.push((values, lines));
        rest = behind.trim_start();
    }
    let Ok([(mu, _), (transform, rows), (psi, _)]) = <[_; 3]>::try_from(arrays) else {
        return Err("three arrays are wanted: mean, transform, variances".into());
    };
    let columns = transform.len().checked_div(rows).unwrap_or(0);
    if columns * rows != transform.len() {
        return Err("the lines of the transform are not of one length".into());
    }
    Ok((mu, [rows, columns], transform, psi))
}

/// The binary form, in f64, as Kaldi writes it.
pub(super) fn write(parts: &Parts) -> Vec<u8> {
    let dim = parts.mu.len();
    let mut out = Vec::new();
    put(&mut out, &[BINARY, BEGIN].concat(), 0, dim, &[]);
    put(&mut out, b"DV", 1, dim, &parts.mu);
    put(&mut out, b"DM", 2, dim, &parts.transform);
    put(&mut out, b"DV", 1, dim, &parts.psi);
    put(&mut out, END, 0, dim, &[]);
    out
}

/// Adds a token, `count` times the dimension, and values.
fn put(out: &mut Vec<u8>, token: &[u8], count: usize, dim: usize, values: &[f64]) {
    out.extend_from_slice(token);
    out.push(b' ');
    for _ in 0..count {
        out.push(4);
        // A dimension is below 2^31: a transform of more would not fit into memory.
        out.extend_from_slice(&(dim as i32).to_le_bytes());
    }
    values.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes()));
}
