//! Digests and secrets for tests, computed as the appliance does.

use super::bench::Bench;
use crate::host::{Crypto, CryptoError, Secret};

impl Crypto for Bench {
    fn digest(&mut self, algorithm: u32, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        digest(algorithm, &[data])
    }

    fn ed25519_verify(&mut self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let claimed = (public_key.to_vec(), message.to_vec(), signature.to_vec());
        self.signatures.contains(&claimed)
    }

    fn open_secret(&mut self, name: &str) -> Result<Box<dyn Secret>, CryptoError> {
        let denied = || CryptoError::new(CryptoError::DENIED, format!("{name:?} is not granted"));
        Ok(Box::new(BenchSecret(self.secrets.get(name).cloned().ok_or_else(denied)?)))
    }
}

struct BenchSecret(Vec<u8>);

impl Secret for BenchSecret {
    fn hmac(&mut self, algorithm: u32, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let block = if algorithm > 3 { 128 } else { 64 };
        let mut key =
            if self.0.len() > block { digest(algorithm, &[&self.0])? } else { self.0.clone() };
        key.resize(block, 0);
        let pad = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<_>>();
        let inner = digest(algorithm, &[&pad(0x36), data])?;
        digest(algorithm, &[&pad(0x5C), &inner])
    }

    fn digest(
        &mut self,
        algorithm: u32,
        before: &[u8],
        after: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        if before.len() + after.len() < 16 {
            return Err(CryptoError::new(CryptoError::INVALID, "fewer than 16 bytes around it"));
        }
        digest(algorithm, &[before, &self.0, after])
    }
}

fn digest(algorithm: u32, parts: &[&[u8]]) -> Result<Vec<u8>, CryptoError> {
    use sha2::Digest as _;
    let data = parts.concat();
    Ok(match algorithm {
        1 => md5::Md5::digest(data).to_vec(),
        2 => sha1::Sha1::digest(data).to_vec(),
        3 => sha2::Sha256::digest(data).to_vec(),
        4 => sha2::Sha384::digest(data).to_vec(),
        5 => sha2::Sha512::digest(data).to_vec(),
        _ => return Err(CryptoError::new(CryptoError::INVALID, "unknown algorithm")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 1321 §A.5, RFC 3174 §7.3, FIPS 180-4; RFC 2202 and 4231, case 2.
    #[test]
    fn digests_are_those_of_the_standards() {
        let mut bench = Bench::default();
        bench.secrets.insert("peer".into(), b"Jefe".to_vec());
        let abc = |bench: &mut Bench, algorithm| hex(&bench.digest(algorithm, b"abc").unwrap());
        assert_eq!(abc(&mut bench, 1), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(abc(&mut bench, 2), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert!(abc(&mut bench, 3).starts_with("ba7816bf8f01cfea"));
        assert!(bench.digest(9, b"").is_err());
        let mut secret = bench.open_secret("peer").unwrap();
        let text = b"what do ya want for nothing?";
        assert_eq!(hex(&secret.hmac(1, text).unwrap()), "750c783e6ab0b503eaa86e310a5db738");
        assert!(hex(&secret.hmac(5, text).unwrap()).starts_with("164b7a7bfcf819e2e395"));
        assert!(secret.digest(1, b"short", b"").is_err());
        assert!(bench.open_secret("other").is_err());
    }
}
