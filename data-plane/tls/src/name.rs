//! Distinguished names as text (RFC 4514).

use std::fmt::Write as _;

use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Types of attributes that have a short name (RFC 4514 section 3, RFC 2985).
const SHORT: [(&str, &str); 10] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// Writes a name from its last part to its first, as `CN=a.example,O=Example`. Everything that is
/// not plain ASCII, and everything that could be taken for the end of a value, is escaped: nobody
/// can put an attribute into the value of another.
pub(crate) fn write_name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let parts: Vec<_> = name.iter_rdn().collect();
    for (at, part) in parts.iter().rev().enumerate() {
        for (and, attribute) in part.iter().enumerate() {
            match (at, and) {
                (0, 0) => {}
                (_, 0) => text.push(','),
                (_, _) => text.push('+'),
            }
            write_attribute(attribute, &mut text);
        }
    }
    text
}

fn write_attribute(attribute: &AttributeTypeAndValue<'_>, text: &mut String) {
    let oid = attribute.attr_type().to_id_string();
    let short = SHORT.iter().find(|(known, _)| *known == oid);
    match (short, attribute.as_str()) {
        (Some((_, short)), Ok(value)) => {
            text.push_str(short);
            text.push('=');
            write_value(value, text);
        }
        (short, _) => {
            text.push_str(short.map_or(&*oid, |(_, short)| short));
            text.push_str("=#");
            // The value in BER: tag, length, content (section 2.4). Long ones are cut short rather
            // than written with a length that is not theirs.
            let value = attribute.attr_value();
            let content = &value.data[..value.data.len().min(0x7f)];
            let tag = u8::try_from(value.tag().0).unwrap_or(u8::MAX);
            for byte in [tag, content.len() as u8].iter().chain(content) {
                let _ = write!(text, "{byte:02X}");
            }
        }
    }
}

/// RFC 4514 section 2.4.
fn write_value(value: &str, text: &mut String) {
    let last = value.len().saturating_sub(1);
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b'#' if at == 0 => text.push_str("\\#"),
            b' ' if at == 0 || at == last => text.push_str("\\ "),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => drop(write!(text, "\\{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(value: &str) -> String {
        let mut text = String::new();
        write_value(value, &mut text);
        text
    }

    #[test]
    fn no_value_can_be_taken_for_another_attribute() {
        assert_eq!(escaped("shop"), "shop");
        assert_eq!(escaped("a,O=Admin"), "a\\,O=Admin");
        assert_eq!(escaped("a+b;c<d>\"e\"\\"), "a\\+b\\;c\\<d\\>\\\"e\\\"\\\\");
        assert_eq!(escaped("#a b#"), "\\#a b#");
        assert_eq!(escaped(" a "), "\\ a\\ ");
        assert_eq!(escaped("a\r\nb\0"), "a\\0D\\0Ab\\00");
        assert_eq!(escaped("é"), "\\C3\\A9");
    }
}
