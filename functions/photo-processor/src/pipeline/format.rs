//! What a file is, by its first bytes: never by its name or by what its sender says.

use tintype_core::post::ContentType;

use super::Rejection;

/// Refuses what is not the kind of image that its ticket announced.
pub(super) fn check(bytes: &[u8], declared: ContentType) -> Result<(), Rejection> {
    match recognise(bytes) {
        Some(Kind::Accepted(found)) if found == declared => Ok(()),
        Some(Kind::Accepted(found)) => Err(Rejection::FormatMismatch { declared: declared.as_str(), found: found.as_str() }),
        Some(Kind::Other(kind)) => Err(Rejection::UnsupportedFormat(kind)),
        None => Err(Rejection::NotAnImage),
    }
}

enum Kind {
    Accepted(ContentType),
    /// Not accepted, but known well enough to tell the person what it is, with its article.
    Other(&'static str),
}

/// The kinds that people try to upload, cameras' and telephones' before all.
fn recognise(bytes: &[u8]) -> Option<Kind> {
    let kind = match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Kind::Accepted(ContentType::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Kind::Accepted(ContentType::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Kind::Accepted(ContentType::WebP),
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => Kind::Other(iso_media(brand)),
        [b'G', b'I', b'F', b'8', ..] => Kind::Other("a GIF"),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Kind::Other("a TIFF image or a camera's raw file"),
        // After `BM` and the file's size come four reserved bytes; without them "BM" begins many a text.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Kind::Other("a BMP image"),
        [0xFF, 0x0A, ..] | [0, 0, 0, 0x0C, b'J', b'X', b'L', b' ', ..] => Kind::Other("a JPEG XL image"),
        [0, 0, 0, 0x0C, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => Kind::Other("a JPEG 2000 image"),
        [b'8', b'B', b'P', b'S', ..] => Kind::Other("a Photoshop document"),
        [b'%', b'P', b'D', b'F', b'-', ..] => Kind::Other("a PDF document"),
        _ => return None,
    };
    Some(kind)
}

/// ISO base media files (ISO/IEC 14496-12) say by their brand what they hold.
fn iso_media(brand: &[u8]) -> &'static str {
    match brand.get(..4) {
        Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1") => "a HEIC photo",
        Some(b"avif" | b"avis") => "an AVIF image",
        Some(b"crx ") => "a camera's raw file",
        _ => "a video",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_accepted_is_named() {
        let named: [(&[u8], &str); 7] = [
            (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC photo"),
            (b"\0\0\0\x20ftypavif\0\0\0\0", "an AVIF image"),
            (b"\0\0\0\x20ftypisom\0\0\x02\0", "a video"),
            (b"GIF89a", "a GIF"),
            (b"II*\0\x08\0\0\0", "a TIFF image or a camera's raw file"),
            (b"\0\0\0\x0CJXL \r\n\x87\n", "a JPEG XL image"),
            (b"%PDF-1.7", "a PDF document"),
        ];
        for (bytes, name) in named {
            let rejection = check(bytes, ContentType::Jpeg).unwrap_err();
            assert_eq!(rejection, Rejection::UnsupportedFormat(name));
            assert!(rejection.to_string().starts_with(&format!("The file is {name}. ")), "{rejection}");
        }
    }

    #[test]
    fn what_is_no_image_is_said_to_be_none() {
        for bytes in [&b""[..], b"\xFF", b"\xFF\xD8", b"BM is how many a text begins", b"<!doctype html>", &[0; 64]] {
            assert_eq!(check(bytes, ContentType::Jpeg), Err(Rejection::NotAnImage), "{bytes:?}");
        }
    }

    #[test]
    fn another_accepted_kind_than_announced_is_refused() {
        let mismatch = Rejection::FormatMismatch { declared: "image/webp", found: "image/jpeg" };
        assert_eq!(check(b"\xFF\xD8\xFF\xE0", ContentType::WebP), Err(mismatch));
    }
}
