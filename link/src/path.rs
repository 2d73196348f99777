//! Marks and paths: how a node notices that its links up the tree would close a circle.
//!
//! A path is a list of marks. A mark is drawn from a server's GUID and does not lead back to it: who is told a path
//! learns how many servers stand above, and recognises those that it knows anyway.

use schemas::mark::Mark;

/// Marks of one path.
pub const PATH_MARKS_MAX: usize = 64;
/// The same in bytes.
pub(crate) const PATH_BYTES_MAX: u32 = (PATH_MARKS_MAX * Mark::BYTES) as u32;

/// A path on the wire.
pub(crate) fn to_wire(path: &[Mark]) -> Result<Vec<u8>, &'static str> {
    bounded(path.len())?;
    Ok(path.iter().flat_map(|mark| mark.to_bytes()).collect())
}

/// A path from the wire.
pub(crate) fn from_wire(bytes: &[u8]) -> Result<Vec<Mark>, &'static str> {
    let (marks, rest) = bytes.as_chunks();
    if !rest.is_empty() {
        return Err("not a whole number of marks");
    }
    bounded(marks.len())?;
    Ok(marks.iter().copied().map(Mark::from_bytes).collect())
}

fn bounded(marks: usize) -> Result<(), &'static str> {
    if marks > PATH_MARKS_MAX { Err("more than 64 marks") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use schemas::guid::parse_128;

    use super::*;

    #[test]
    fn a_mark_is_the_same_for_everybody() {
        let (guid, mark) = ("5f0c7a52-6a3e-4d0b-9a55-0d1f6f7b2c21", "54256f75d9314da568e94d8c119471dc");
        assert_eq!(format!("{:?}", Mark::of(parse_128(guid).unwrap())), format!("Mark({mark})"));
        let line = format!("{guid}  {mark}");
        assert!(include_str!("../../docs/protocol.md").contains(&line), "docs/protocol.md shows another mark");
    }

    #[test]
    fn a_path_comes_back_from_the_wire() {
        for length in [0, 1, PATH_MARKS_MAX] {
            let path: Vec<Mark> = (0..length as u128).map(Mark::of).collect();
            let bytes = to_wire(&path).unwrap();
            assert_eq!(bytes.len(), length * Mark::BYTES);
            assert_eq!(from_wire(&bytes), Ok(path));
        }
    }

    #[test]
    fn a_path_is_bounded_both_ways_and_whole() {
        assert!(to_wire(&[Mark::of(1); PATH_MARKS_MAX + 1]).is_err());
        assert!(from_wire(&[0; (PATH_MARKS_MAX + 1) * Mark::BYTES]).is_err());
        for length in [1, 15, 17] {
            assert!(from_wire(&vec![0; length]).is_err(), "{length} bytes");
        }
    }
}
