//! Bytes that must not be found, and every form in which they could be written.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// Bytes of a marker that are looked for together.
const WINDOW: usize = 16;

/// Bytes that are to stay secret.
#[derive(Debug)]
pub(super) struct Marker {
    name: &'static str,
    bytes: Vec<u8>,
}

/// A certificate signed by its own key, both in PEM.
pub(super) struct Certificate {
    pub(super) chain: Vec<u8>,
    pub(super) key: Vec<u8>,
    /// The number that is the private key, and a part of it as it stands in `key`.
    pub(super) markers: [Marker; 2],
}

impl Marker {
    pub(super) fn of(name: &'static str, bytes: &[u8]) -> Self {
        Self {
            name,
            bytes: bytes.to_vec(),
        }
    }

    /// 32 random bytes.
    pub(super) fn random(name: &'static str) -> anyhow::Result<Self> {
        let bytes = openssl(&["rand", "32"], b"")?;
        Ok(Self { name, bytes })
    }

    /// The same as letters.
    pub(super) fn as_text(&self) -> Self {
        let letters = self.bytes.iter().map(|byte| b'a' + byte % 26);
        Self {
            name: self.name,
            bytes: letters.collect(),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Whether it stands in `text` in any form.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        self.forms()
            .iter()
            .any(|(_, form)| memchr::memmem::find(text, form).is_some())
    }

    /// Every form, with its name.
    pub(super) fn forms(&self) -> Vec<(String, Vec<u8>)> {
        let last = self.bytes.len().saturating_sub(WINDOW);
        let windows = [&self.bytes[..WINDOW.min(self.bytes.len())], &self.bytes[last..]];
        windows.iter().flat_map(|window| self.forms_of(window)).collect()
    }

    fn forms_of(&self, window: &[u8]) -> Vec<(String, Vec<u8>)> {
        let joined = |separator: &str, print: fn(&u8) -> String| {
            window
                .iter()
                .map(print)
                .collect::<Vec<_>>()
                .join(separator)
                .into_bytes()
        };
        let mut forms = vec![
            ("raw", window.to_vec()),
            ("hex", joined("", |byte| format!("{byte:02x}"))),
            ("HEX", joined("", |byte| format!("{byte:02X}"))),
            ("hex with colons", joined(":", |byte| format!("{byte:02x}"))),
            ("HEX with spaces", joined(" ", |byte| format!("{byte:02X}"))),
            ("numbers", joined(", ", u8::to_string)),
            ("numbers in JSON", joined(",", u8::to_string)),
            (
                "numbers line by line",
                joined(",\n", |byte| format!("    {byte}")),
            ),
            ("escaped", joined("", |byte| format!("\\x{byte:02x}"))),
            ("octal", joined("", |byte| format!("\\{byte:03o}"))),
            (
                "debug",
                format!("{:?}", String::from_utf8_lossy(window))
                    .trim_matches('"')
                    .into(),
            ),
        ];
        // Where in a longer value the window begins decides which letters it becomes.
        for shift in 0..3 {
            let shifted = base64(&[&vec![0; shift][..], window].concat());
            let whole = &shifted.as_bytes()[(shift * 8).div_ceil(6)..(shift + window.len()) * 8 / 6];
            let url = whole.iter().map(|letter| match letter {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            });
            let url: Vec<u8> = url.collect();
            forms.push(("base64", whole.to_vec()));
            forms.push(("base64url", url));
        }
        forms
            .into_iter()
            .map(|(form, bytes)| (format!("{} as {form}", self.name), bytes))
            .collect()
    }
}

impl Certificate {
    /// One for `hostname`, valid from now on.
    pub(super) fn new(hostname: &str) -> anyhow::Result<Self> {
        let key = openssl(
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ],
            b"",
        )?;
        let subject = format!("/CN={hostname}");
        let names = format!("subjectAltName=DNS:{hostname}");
        let chain = openssl(
            &[
                "req",
                "-x509",
                "-key",
                "/dev/stdin",
                "-days",
                "90",
                "-subj",
                &subject,
                "-addext",
                &names,
            ],
            &key,
        )?;
        let der = openssl(&["pkey", "-outform", "DER"], &key)?;
        // RFC 5915 section 3: version 1, then the private key as 32 octets.
        let start = der.windows(5).position(|window| window == [2, 1, 1, 4, 32]);
        let start = start.context("no private key in it")? + 5;
        let number = Marker::of("private key", &der[start..start + 32]);
        // Of the second line of letters, what lies within that number.
        let line = key
            .split(|byte| *byte == b'\n')
            .nth(2)
            .context("no second line")?;
        let line = Marker::of("PEM of the private key", line.get(..24).context("a short line")?);
        let markers = [number, line];
        Ok(Self { chain, key, markers })
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=chunk.len()].copy_from_slice(chunk);
        let group = u32::from_be_bytes(group);
        for index in 0..4 {
            match index <= chunk.len() {
                true => text.push(char::from(LETTERS[(group >> (18 - 6 * index)) as usize & 63])),
                false => text.push('='),
            }
        }
    }
    text
}

fn openssl(arguments: &[&str], input: &[u8]) -> anyhow::Result<Vec<u8>> {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("openssl is not installed")?;
    child.stdin.take().context("no input")?.write_all(input)?;
    let output = child.wait_with_output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "openssl {arguments:?}: {error}");
    Ok(output.stdout)
}

#[test]
fn every_form_of_a_marker_is_found_wherever_it_stands() {
    let marker = Marker::of("m", b"0123456789abcdefghijklmnopqrstuv");
    let forms = marker.forms();
    for before in 0..3 {
        let value = [&vec![b'x'; before][..], marker.bytes(), b"tail"].concat();
        let text = base64(&value).into_bytes();
        let found = |(_, form): &&(String, Vec<u8>)| text.windows(form.len()).any(|window| window == form);
        assert!(forms.iter().any(|form| found(&form)), "{before}");
    }
    assert_eq!(base64(b"light work."), "bGlnaHQgd29yay4=");
}
