//! The least EXIF that says how a photograph was held, and where.

/// What the file says of the photograph, apart from its pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Exif {
    /// 1 to 8: which corner of the scene the first pixel shows (EXIF tag 0x0112). 6 is a telephone held upright.
    pub orientation: Option<u8>,
    /// Latitude and longitude in degrees, north and east positive.
    pub gps: Option<(f64, f64)>,
}

/// Types of values (TIFF 6.0, section 2).
const BYTE: u16 = 1;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;

/// Where the first directory starts: after `II`, the number 42 and this offset itself.
const FIRST_DIRECTORY: u32 = 8;

impl Exif {
    /// The EXIF data without the `Exif\0\0` that JPEG puts before it, as PNG's `eXIf` and WebP's `EXIF` chunks hold it.
    ///
    /// A little TIFF file, least significant byte first: a header, a directory (IFD0) and, if there is a position, the GPS
    /// directory, which an entry of the first points to. Values that don't fit into an entry's four bytes follow their directory.
    pub fn to_tiff(self) -> Vec<u8> {
        let mut entries = Vec::new();
        if let Some(orientation) = self.orientation {
            entries.push(Entry::new(0x0112, SHORT, 1, &[orientation, 0]));
        }
        let mut tiff = b"II*\0".to_vec();
        tiff.extend(FIRST_DIRECTORY.to_le_bytes());
        let Some((latitude, longitude)) = self.gps else {
            tiff.extend(directory(&entries, FIRST_DIRECTORY));
            return tiff;
        };

        let gps_directory = FIRST_DIRECTORY + directory_size(entries.len() + 1);
        entries.push(Entry::new(0x8825, LONG, 1, &gps_directory.to_le_bytes()));
        tiff.extend(directory(&entries, FIRST_DIRECTORY));
        let position = [
            Entry::new(0, BYTE, 4, &[2, 3, 0, 0]),
            Entry::new(1, ASCII, 2, if latitude < 0.0 { b"S\0" } else { b"N\0" }),
            Entry::new(2, RATIONAL, 3, &degrees_minutes_seconds(latitude)),
            Entry::new(3, ASCII, 2, if longitude < 0.0 { b"W\0" } else { b"E\0" }),
            Entry::new(4, RATIONAL, 3, &degrees_minutes_seconds(longitude)),
        ];
        tiff.extend(directory(&position, gps_directory));
        tiff
    }
}

struct Entry {
    tag: u16,
    kind: u16,
    count: u32,
    value: Vec<u8>,
}

impl Entry {
    fn new(tag: u16, kind: u16, count: u32, value: &[u8]) -> Self {
        Self { tag, kind, count, value: value.to_vec() }
    }
}

/// A count of two bytes, twelve bytes an entry, and the offset of the next directory.
fn directory_size(entries: usize) -> u32 {
    u32::try_from(2 + 12 * entries + 4).expect("a handful of entries")
}

/// A directory that starts `at` bytes into the file, with the long values behind it.
fn directory(entries: &[Entry], at: u32) -> Vec<u8> {
    let mut long_values = Vec::new();
    let mut bytes = u16::try_from(entries.len()).expect("a handful of entries").to_le_bytes().to_vec();
    for entry in entries {
        bytes.extend(entry.tag.to_le_bytes());
        bytes.extend(entry.kind.to_le_bytes());
        bytes.extend(entry.count.to_le_bytes());
        if entry.value.len() <= 4 {
            let mut value = [0; 4];
            value[..entry.value.len()].copy_from_slice(&entry.value);
            bytes.extend(value);
        } else {
            let before = u32::try_from(long_values.len()).expect("a few dozen bytes");
            bytes.extend((at + directory_size(entries.len()) + before).to_le_bytes());
            long_values.extend_from_slice(&entry.value);
        }
    }
    bytes.extend(0u32.to_le_bytes());
    bytes.extend(long_values);
    bytes
}

/// Three fractions: whole degrees, whole minutes, and seconds to the thousandth (three centimetres on the ground).
fn degrees_minutes_seconds(degrees: f64) -> Vec<u8> {
    const THOUSANDTHS_PER_DEGREE: u32 = 3600 * 1000;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "180 degrees are 648 million thousandths")]
    let thousandths = (degrees.abs() * f64::from(THOUSANDTHS_PER_DEGREE)).round() as u32;
    let whole_degrees = thousandths / THOUSANDTHS_PER_DEGREE;
    let minutes = thousandths / 60_000 % 60;
    let fractions = [(whole_degrees, 1), (minutes, 1), (thousandths % 60_000, 1000)];
    fractions.iter().flat_map(|(above, below): &(u32, u32)| [above.to_le_bytes(), below.to_le_bytes()]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::metadata::Orientation;

    #[test]
    fn another_reader_finds_the_orientation() {
        for orientation in 1..=8 {
            for gps in [None, Some((-33.8568, 151.2153))] {
                let tiff = Exif { orientation: Some(orientation), gps }.to_tiff();
                assert_eq!(Orientation::from_exif_chunk(&tiff), Orientation::from_exif(orientation));
            }
        }
    }

    #[test]
    fn a_position_is_told_in_degrees_minutes_and_seconds() {
        let tiff = Exif { orientation: Some(6), gps: Some((-33.8568, 151.2153)) }.to_tiff();
        // IFD0 ends at 8 + 30; after 2 bytes of count come the five entries of the GPS directory, and their long values at 104.
        assert_eq!(&tiff[38..40], &[5, 0]);
        assert_eq!(&tiff[52..62], b"\x01\0\x02\0\x02\0\0\0S\0");
        let number = |at: usize| u32::from_le_bytes(tiff[at..at + 4].try_into().expect("four bytes"));
        let latitude: Vec<u32> = (104..128).step_by(4).map(number).collect();
        assert_eq!(latitude, [33, 1, 51, 1, 24_480, 1000]);
        let longitude: Vec<u32> = (128..152).step_by(4).map(number).collect();
        assert_eq!(longitude, [151, 1, 12, 1, 55_080, 1000]);
    }
}
