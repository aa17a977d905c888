//! Which texts can arrive at all, as expressions.

/// What a text may be at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Domain {
    /// Normal paths: see [`normalize_path`](crate::normalize_path).
    Path,
    /// Values of header fields: visible ASCII, and spaces and tabs inside.
    Header,
    /// Values of query parameters.
    Query,
}

impl Domain {
    /// As an expression for the whole text.
    pub(crate) fn pattern(self) -> String {
        match self {
            // An element is neither `.` nor `..`; escapes are those of bytes that must be escaped.
            Self::Path => {
                let escape = "%(?:0[1-9A-F]|[189A-F][0-9A-F]|2[0-9A-CF]|3[A-F]|[46]0|5[B-E]|7[B-DF])";
                let plain = format!(r#"(?:[!"$&-\-0->@-\[\]-~]|{escape})"#);
                let dotted = format!(r"(?:\.|{plain})");
                let element = format!(r"{plain}{dotted}*|\.{plain}{dotted}*|\.\.{dotted}+");
                format!("(?-u)^(?:/(?:{element})?)+$")
            }
            Self::Header => r"(?-u)^(?:[!-~](?:[\t -~]*[!-~])?)?$".into(),
            Self::Query => r"(?s)^.*$".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the function that decides what a normal path is.
    #[test]
    fn the_domain_of_paths_is_that_of_normal_paths() {
        let domain = regex::Regex::new(&Domain::Path.pattern()).unwrap();
        let mut texts: Vec<String> = [
            "", "/", "//", "/.", "/..", "/...", "/.a", "/..a", "/a.", "/a/./b", "/a/..", "*",
        ]
        .map(String::from)
        .into();
        texts.extend((0..=127_u8).map(|byte| format!("/{}", char::from(byte))));
        texts.extend((0..=127_u8).map(|byte| format!("/a{}/", char::from(byte))));
        texts.extend((0..=255_u8).map(|byte| format!("/%{byte:02X}")));
        texts.extend((0..=255_u8).map(|byte| format!("/a%{byte:02x}")));
        for text in texts {
            let normal = crate::normalize_path(&text).is_ok_and(|normal| normal == text);
            assert_eq!(domain.is_match(&text), normal, "{text:?}");
        }
    }
}
