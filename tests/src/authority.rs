//! Certificate authorities for tests, made by openssl: keys, chains, revocation lists and OCSP
//! responses that no code of ours has written.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// An authority whose files are in a directory of its own.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
    /// Authorities between it and the root, itself included, nearest first; PEM.
    above: String,
    issued: std::cell::Cell<u32>,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The leaf first, then the authorities below the root; PEM.
    pub chain: String,
    /// PEM.
    pub key: String,
    /// Where [`Identity::chain`] is.
    pub chain_file: PathBuf,
    /// Where [`Identity::key`] is.
    pub key_file: PathBuf,
    /// Serial number, hexadecimal.
    pub serial: String,
}

impl Authority {
    /// A root whose files go below `directory`.
    ///
    /// # Errors
    /// When openssl refuses.
    pub fn root(directory: &Path, name: &str) -> anyhow::Result<Self> {
        let authority = Self::empty(directory.join(name), String::new())?;
        let mut request = authority.openssl("req");
        request.args(["-x509", "-out", "ca.pem", "-keyout", "ca.key", "-days", "30"]);
        run(new_key(&mut request, name).args(AUTHORITY))?;
        Ok(authority)
    }

    /// An authority below this one.
    ///
    /// # Errors
    /// When openssl refuses.
    pub fn below(&self, name: &str) -> anyhow::Result<Self> {
        let mut lower = Self::empty(self.directory.join(name), String::new())?;
        let mut request = lower.openssl("req");
        request.args(["-out", "ca.csr", "-keyout", "ca.key"]);
        run(new_key(&mut request, name).args(AUTHORITY))?;
        self.sign(&lower.directory.join("ca.csr"), &lower.directory.join("ca.pem"))?;
        lower.above = lower.pem()? + &self.above;
        Ok(lower)
    }

    /// Its certificate, PEM.
    ///
    /// # Errors
    /// When its files are gone.
    pub fn pem(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.file())?)
    }

    /// Where its certificate is.
    pub fn file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// A certificate whose common name is `name`, for these names (`DNS:a`, `URI:b`).
    ///
    /// # Errors
    /// When openssl refuses.
    pub fn issue(&self, name: &str, names: &[&str]) -> anyhow::Result<Identity> {
        let number = self.issued.get();
        let path = |end: &str| self.directory.join(format!("{name}-{number}.{end}"));
        let (key, csr, leaf, chain) = (path("key"), path("csr"), path("crt"), path("pem"));
        let mut request = self.openssl("req");
        request.arg("-out").arg(&csr).arg("-keyout").arg(&key);
        new_key(&mut request, name);
        // With an extension it is of version 3, the only one that is in use.
        request.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        if !names.is_empty() {
            request.args(["-addext", &format!("subjectAltName={}", names.join(","))]);
        }
        run(&mut request)?;
        let serial = self.sign(&csr, &leaf)?;
        let text = std::fs::read_to_string(leaf)? + &self.above;
        std::fs::write(&chain, &text)?;
        Ok(Identity {
            chain: text,
            key: std::fs::read_to_string(&key)?,
            chain_file: chain,
            key_file: key,
            serial,
        })
    }

    /// A revocation list with these certificates of this authority, PEM.
    ///
    /// # Errors
    /// When openssl refuses.
    pub fn revoke(&self, revoked: &[&Identity]) -> anyhow::Result<String> {
        self.write_index(revoked, "R", REVOKED)?;
        std::fs::write(self.directory.join("crlnumber"), "01\n")?;
        let configuration = "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\n\
            crlnumber=crlnumber\ndefault_md=sha256\ncrl_extensions=list\n\
            [list]\nauthorityKeyIdentifier=keyid:always\n";
        std::fs::write(self.directory.join("ca.cnf"), configuration)?;
        let mut list = self.openssl("ca");
        list.args(["-config", "ca.cnf", "-gencrl", "-crldays", "30"]);
        list.args(["-cert", "ca.pem", "-keyfile", "ca.key", "-out", "ca.crl"]);
        run(&mut list)?;
        Ok(std::fs::read_to_string(self.directory.join("ca.crl"))?)
    }

    /// A signed OCSP response that says that this certificate is good, DER.
    ///
    /// # Errors
    /// When openssl refuses.
    pub fn ocsp(&self, good: &Identity) -> anyhow::Result<Vec<u8>> {
        self.write_index(&[good], "V", "\t\t")?;
        self.respond(good)
    }

    /// The same, saying that it is revoked.
    ///
    /// # Errors
    /// When openssl refuses.
    pub fn ocsp_of_revoked(&self, revoked: &Identity) -> anyhow::Result<Vec<u8>> {
        self.write_index(&[revoked], "R", REVOKED)?;
        self.respond(revoked)
    }

    /// What the index says of this certificate.
    fn respond(&self, about: &Identity) -> anyhow::Result<Vec<u8>> {
        let mut request = self.openssl("ocsp");
        request.args(["-issuer", "ca.pem", "-no_nonce", "-reqout", "ocsp.req", "-cert"]);
        run(request.arg(&about.chain_file))?;
        let mut response = self.openssl("ocsp");
        response.args(["-index", "index.txt", "-CA", "ca.pem", "-rsigner", "ca.pem"]);
        response.args([
            "-rkey", "ca.key", "-reqin", "ocsp.req", "-respout", "ocsp.der", "-ndays", "7",
        ]);
        run(&mut response)?;
        Ok(std::fs::read(self.directory.join("ocsp.der"))?)
    }

    fn empty(directory: PathBuf, above: String) -> anyhow::Result<Self> {
        std::fs::create_dir(&directory)?;
        Ok(Self {
            directory,
            above,
            issued: std::cell::Cell::new(0),
        })
    }

    /// Signs what the request asks for, extensions included; the serial number, hexadecimal.
    fn sign(&self, request: &Path, certificate: &Path) -> anyhow::Result<String> {
        let number = self.issued.get() + 1;
        self.issued.set(number);
        let serial = format!("{:04X}", 0x1000 + number);
        let mut sign = self.openssl("x509");
        sign.args(["-req", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "30"]);
        sign.args([
            "-copy_extensions",
            "copyall",
            "-set_serial",
            &format!("0x{serial}"),
        ]);
        run(sign.arg("-in").arg(request).arg("-out").arg(certificate))?;
        Ok(serial)
    }

    /// The database of `openssl ca`: state, end, revocation, serial, file, subject.
    fn write_index(&self, identities: &[&Identity], state: &str, revocation: &str) -> anyhow::Result<()> {
        let lines = identities.iter().map(|identity| {
            format!(
                "{state}\t491231235959Z{revocation}{}\tunknown\t/CN=any\n",
                identity.serial
            )
        });
        std::fs::write(self.directory.join("index.txt.attr"), "unique_subject = no\n")?;
        Ok(std::fs::write(
            self.directory.join("index.txt"),
            lines.collect::<String>(),
        )?)
    }

    fn openssl(&self, command: &str) -> Command {
        let mut openssl = Command::new("openssl");
        openssl.arg(command).current_dir(&self.directory);
        openssl
    }
}

/// When a certificate was revoked, as the index of `openssl ca` has it.
const REVOKED: &str = "\t260101000000Z\t";

/// What makes a certificate an authority's.
const AUTHORITY: [&str; 6] = [
    "-addext",
    "subjectKeyIdentifier=hash",
    "-addext",
    "basicConstraints=critical,CA:TRUE",
    "-addext",
    "keyUsage=critical,keyCertSign,cRLSign",
];

fn new_key<'a>(request: &'a mut Command, name: &str) -> &'a mut Command {
    request.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    // An empty configuration: what stands in the machine's is not wanted.
    request.args(["-config", "/dev/null", "-subj", &format!("/CN={name}")])
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().context("openssl is not installed")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {error}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssl_verifies_what_was_issued_and_not_what_was_revoked() {
        let directory = tempfile::tempdir().unwrap();
        let root = Authority::root(directory.path(), "root").unwrap();
        let middle = root.below("middle").unwrap();
        let leaf = middle.issue("leaf", &["DNS:leaf.example.com"]).unwrap();
        assert_eq!(leaf.chain.matches("BEGIN CERTIFICATE").count(), 2);
        let verify = |more: &[&str]| {
            let mut verify = Command::new("openssl");
            verify.args(["verify", "-CAfile"]).arg(root.file());
            verify.arg("-untrusted").arg(&leaf.chain_file).args(more);
            run(verify.arg(&leaf.chain_file))
        };
        verify(&[]).unwrap();
        let list = directory.path().join("list");
        std::fs::write(&list, middle.revoke(&[&leaf]).unwrap()).unwrap();
        let error = verify(&["-crl_check", "-CRLfile", list.to_str().unwrap()]).unwrap_err();
        assert!(format!("{error:#}").contains("revoked"), "{error:#}");
        assert!(!middle.ocsp(&leaf).unwrap().is_empty());
    }
}
