//! Chains of a test's own authority, good and bad, and their life on the
//! appliance: requested, tried out, kept, lost and removed.

use super::chain::read;
use super::*;
use rcgen::{
    BasicConstraints, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
};
use std::fs;
use tempfile::TempDir;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

/// 2026-11-21.
const NOW_S: i64 = 1_795_247_521;
const DAY_S: i64 = 86_400;

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn params(name: &str, names: &[&str], days: (i64, i64)) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("good names");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let at = |days: i64| crate::clock::date(((NOW_S + days * DAY_S) * 1_000) as u64);
    (params.not_before, params.not_after) = (at(days.0), at(days.1));
    params
}

/// A root, and an authority between it and servers.
struct Authorities {
    root: String,
    between: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authorities {
    fn new() -> Self {
        let authority = |name| {
            let mut params = params(name, &[], (-100, 3_000));
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params
        };
        let (root_key, key) = (key(), key());
        let root = authority("Root").self_signed(&root_key).expect("made").pem();
        let root_issuer = Issuer::new(authority("Root"), root_key);
        let between = authority("Between").signed_by(&key, &root_issuer).expect("made").pem();
        Self { root, between, issuer: Issuer::new(authority("Between"), key) }
    }

    fn certificate(&self, params: &CertificateParams, key: &KeyPair) -> String {
        params.signed_by(key, &self.issuer).expect("made").pem()
    }

    /// Of a server, valid from yesterday for a year.
    fn server(&self, key: &KeyPair) -> String {
        self.certificate(&params("rack", &["rack-7.example.org", "192.0.2.7"], (-1, 365)), key)
    }
}

fn refused(text: &str, known: &[String]) -> Refusal {
    read(text.as_bytes(), known, Some(NOW_S)).map(|chain| chain.about).expect_err("refused")
}

#[test]
fn the_own_one_is_renewed_while_it_runs() {
    let dir = tempfile::tempdir().expect("a directory");
    let all = Certificates::new(dir.path().to_owned());
    let hour = 3_600_000;
    let day = 24 * hour;
    assert!(matches!(all.renew("rack-7", day), Ok(None)), "nobody opened them");
    // The clock has no battery: it begins in 1970, and is set after the start.
    let first = all.open("rack-7", 0).expect("an identity").shown.fingerprint;
    assert!(matches!(all.renew("rack-7", 5_000), Ok(None)));
    let now = NOW_S as u64 * 1_000;
    let second = all.renew("rack-7", now).expect("made").expect("its time does not fit the clock");
    assert_ne!(first, second);
    let shown = || all.status(Nanos(0)).expect("opened").shown;
    assert_eq!((shown().fingerprint, shown().names[0].as_str()), (second.clone(), "rack-7"));
    // A year later it is shown further, with less than a month left another one.
    let month_left = now + 367 * day;
    assert!(matches!(all.renew("rack-7", month_left - hour / 2), Ok(None)));
    assert!(matches!(all.renew("rack-7", month_left + hour / 3), Ok(None)), "looked at every hour");
    let third = all.renew("rack-7", now + 368 * day).expect("made").expect("a month is left");
    assert_eq!(shown().fingerprint, third);
    let again = Certificates::new(dir.path().to_owned()).open("rack-7", now + 369 * day);
    assert_eq!(again.expect("an identity").shown.fingerprint, third, "kept");
    // Somebody gives the appliance another name.
    let named = all.renew("hall-9", now + 368 * day).expect("made").expect("another name");
    assert_eq!((shown().fingerprint, shown().names[0].as_str()), (named, "hall-9"));
    assert_eq!(all.host_name(), "hall-9");
    assert!(matches!(all.renew("hall-9", now + 368 * day), Ok(None)), "once");
}

#[test]
fn a_chain_is_taken_in_any_order_and_its_root_is_left_out() {
    let authorities = Authorities::new();
    let key = key();
    let (server, pem) = (authorities.server(&key), key.serialize_pem());
    let Authorities { root, between, .. } = &authorities;
    for text in [
        format!("{pem}{server}{between}"),
        format!("{root}\r\n{between}\n{server}\nfor rack 7:\n{pem}"),
    ] {
        let chain = read(text.as_bytes(), &[], Some(NOW_S)).expect("taken");
        assert_eq!(chain.certified.cert.len(), 2);
        assert_eq!(chain.about.names, ["rack-7.example.org", "192.0.2.7"]);
        assert_eq!(
            (chain.about.subject.as_str(), chain.about.issuer.as_str()),
            ("rack", "Between")
        );
        assert_eq!((chain.about.issuers.len(), chain.about.key), (1, KeyKind::Ecdsa(256)));
        assert_eq!(chain.about.until_s, NOW_S + 365 * DAY_S);
        let again = read(chain.pem.as_bytes(), &[], None).expect("what is kept is read");
        assert_eq!((again.about, again.pem), (chain.about, chain.pem));
    }
    // The key of the request comes from the appliance.
    let kept = [KeyPair::generate().expect("a key").serialize_pem(), pem];
    assert!(read(server.as_bytes(), &kept, Some(NOW_S)).is_ok());
}

#[test]
fn other_kinds_of_keys_are_taken() {
    let authorities = Authorities::new();
    for (algorithm, kind) in
        [(&PKCS_ED25519, KeyKind::Ed25519), (&PKCS_ECDSA_P384_SHA384, KeyKind::Ecdsa(384))]
    {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let text = authorities.server(&key) + &key.serialize_pem();
        let chain = read(text.as_bytes(), &[], Some(NOW_S)).expect("taken");
        assert_eq!(chain.about.key, kind);
    }
}

#[test]
fn what_browsers_would_refuse_is_refused_with_the_reason() {
    let authorities = Authorities::new();
    let (key, other) = (key(), key());
    let own = [key.serialize_pem()];
    let server = authorities.server(&key);
    let make = |name: &str, names: &[&str], days| {
        authorities.certificate(&params(name, names, days), &key)
    };
    let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");

    assert_eq!(refused("", &own), Refusal::NoCertificate);
    assert_eq!(refused("rack 7", &own), Refusal::NoCertificate);
    assert_eq!(refused("\x30\x05abc", &own), Refusal::NotPem);
    assert_eq!(refused(&server[..server.len() - 40], &own), Refusal::NotPem);
    assert_eq!(refused(&pem("CERTIFICATE"), &own), Refusal::Damaged(1));
    assert_eq!(refused(&server.repeat(11), &own), Refusal::TooMany);
    assert_eq!(
        refused(&(server.clone() + &pem("ENCRYPTED PRIVATE KEY")), &own),
        Refusal::KeyEncrypted
    );
    assert_eq!(refused(&(server.clone() + &pem("PRIVATE KEY")), &own), Refusal::KeyUnusable);
    let two = format!("{server}{}{}", own[0], own[0]);
    assert_eq!(refused(&two, &own), Refusal::Keys);
    assert_eq!(refused(&server, &[]), Refusal::NoKey { given: false });
    let strange = server.clone() + &other.serialize_pem();
    assert_eq!(refused(&strange, &own), Refusal::NoKey { given: true });

    let stranger = Authorities::new();
    let text = server.clone() + &stranger.root;
    assert_eq!(refused(&text, &own), Refusal::Stray("Root".into()));
    // Of the same name, and yet not the one that signed.
    let text = server.clone() + &stranger.between;
    assert_eq!(refused(&text, &own), Refusal::BadSignature("rack".into(), "Between".into()));

    let names = ["rack-7.example.org"];
    let expired = Refusal::Expired("old".into(), "2026-11-20".into());
    assert_eq!(refused(&make("old", &names, (-30, -1)), &own), expired);
    let not_yet = Refusal::NotYet("new".into(), "2026-11-22".into());
    assert_eq!(refused(&make("new", &names, (1, 30)), &own), not_yet);
    let early = make("new", &names, (1, 30));
    assert!(read(early.as_bytes(), &own, None).is_ok(), "no clock, no judgement of time");
    assert_eq!(refused(&make("bare", &[], (-1, 30)), &own), Refusal::NoNames("bare".into()));
    let mut authority = params("itself", &names, (-1, 30));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let text = authorities.certificate(&authority, &key);
    assert_eq!(refused(&text, &own), Refusal::Authority("itself".into()));
    // Every reason says what to do, and none shows the key.
    for refusal in [refused(&strange, &own), refused("", &own), refused(&two, &own)] {
        let said = refusal.to_string();
        assert!(said.len() > 40 && !said.contains("BEGIN PRIVATE"), "{said}");
    }
}

#[test]
fn nothing_that_is_uploaded_panics() {
    let authorities = Authorities::new();
    let key = key();
    let good =
        format!("{}{}{}", key.serialize_pem(), authorities.server(&key), authorities.between);
    let good = good.into_bytes();
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] = bad[at].wrapping_add(1);
        let _ = read(&bad, &[], Some(NOW_S));
        let _ = read(&good[..at], &[], Some(NOW_S));
    }
}

struct Bench {
    dir: TempDir,
    all: Arc<Certificates>,
    authorities: Authorities,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let all = Certificates::new(dir.path().into());
        let bench = Self { dir, all, authorities: Authorities::new() };
        assert!(bench.all.status(Nanos(0)).is_none());
        assert!(matches!(bench.all.config(&[]), Err(NotShown::NotOpened)));
        bench.open();
        bench
    }

    fn open(&self) -> Opened {
        self.all.open("rack-7", NOW_S as u64 * 1_000).expect("opened")
    }

    fn issuer(&self, at_s: u64) -> String {
        self.all.status(Nanos::from_secs(at_s)).expect("opened").shown.issuer
    }

    /// What the authority sends for the request that waits.
    fn sent(&self) -> Vec<u8> {
        let key = fs::read_to_string(self.dir.path().join(REQUESTED)).expect("requested");
        let server = self.authorities.server(&KeyPair::from_pem(&key).expect("a key"));
        (server + &self.authorities.between).into_bytes()
    }
}

#[test]
fn a_request_says_what_was_asked_and_keeps_its_key_here() {
    let bench = Bench::new();
    let names = ["rack-7.example.org".to_owned(), "192.0.2.7".to_owned()];
    let text = bench.all.request(&names, "Harbour Authority").expect("made");
    let (_, pem) = x509_parser::pem::parse_x509_pem(text.as_bytes()).expect("PEM");
    let (_, request) = X509CertificationRequest::from_der(&pem.contents).expect("a request");
    request.verify_signature().expect("its own key's");
    let subject = request.certification_request_info.subject.to_string();
    assert_eq!(subject, "CN=rack-7.example.org, O=Harbour Authority");
    assert!(!text.contains("PRIVATE"));
    assert!(bench.all.status(Nanos(0)).is_some_and(|status| status.requested));
    for bad in ["", "a b", "räck", "x/../y", "*.*.org", "a\0b"] {
        let error = bench.all.request(&[bad.to_owned()], "").expect_err(bad);
        assert!(matches!(error, CertificateError::Name(_)), "{bad:?}: {error}");
    }
    assert!(bench.all.request(&["*.example.org".to_owned()], "").is_ok());
    assert!(matches!(bench.all.request(&[], ""), Err(CertificateError::Names)));
    let line = bench.all.request(&names, "a\nb").expect_err("a line break");
    assert!(matches!(line, CertificateError::Organisation));
}

#[test]
fn a_certificate_is_tried_out_and_lost_unless_it_is_confirmed() {
    let bench = Bench::new();
    let own = bench.issuer(0);
    bench.all.request(&["rack-7.example.org".to_owned()], "").expect("made");
    let at = |s| Nanos::from_secs(s);
    let sent = bench.sent();
    bench.all.try_out(&sent, at(10), Some(NOW_S)).expect("taken");
    assert_eq!((bench.issuer(10), bench.issuer(129)), ("Between".into(), "Between".into()));
    assert!(bench.all.lapsed(at(129)).is_none());
    assert_eq!(bench.issuer(130), own, "the one before is shown again");
    assert!(matches!(bench.all.keep(at(130)), Err(CertificateError::NoTrial)));
    assert_eq!(bench.all.lapsed(at(130)).expect("told").subject, "rack");
    assert!(bench.all.lapsed(at(131)).is_none(), "told once");

    // The key is still there: the same text is tried again, and kept.
    bench.all.try_out(&sent, at(200), Some(NOW_S)).expect("taken");
    assert!(!bench.all.is_installed());
    bench.all.keep(at(210)).expect("kept");
    assert!(bench.all.is_installed());
    let status = bench.all.status(at(9_999)).expect("opened");
    assert!(status.installed && status.trial_left_s.is_none() && !status.requested);
    assert!(!bench.dir.path().join(REQUESTED).exists());
    let opened = bench.open();
    assert_eq!(opened.shown.issuer, "Between", "after a restart");

    // Renewed for the same key, which lies with the installed one.
    bench.all.try_out(&sent, at(300), Some(NOW_S)).expect("the key is known");
    // Meanwhile another one is requested: that goes on waiting.
    bench.all.request(&["rack-8.example.org".to_owned()], "").expect("made");
    bench.all.keep(at(310)).expect("kept");
    assert!(bench.all.status(at(311)).expect("opened").requested);
    bench.all.try_out(&bench.sent(), at(320), Some(NOW_S)).expect("its key is there");
    bench.all.give_up().expect("it was on trial");
    assert!(matches!(bench.all.give_up(), Err(CertificateError::NoTrial)));
    bench.all.remove().expect("removed");
    assert_eq!(bench.issuer(321), own);
    assert!(matches!(bench.all.remove(), Err(CertificateError::NotInstalled)));
    let error = bench.all.try_out(&sent, at(330), Some(NOW_S)).expect_err("its key is gone");
    assert!(matches!(error, CertificateError::Refused(Refusal::NoKey { given: false })));
}

#[test]
fn a_damaged_installation_is_told_and_the_own_one_shown() {
    let bench = Bench::new();
    let own = bench.issuer(0);
    fs::write(bench.dir.path().join(INSTALLED), "nothing").expect("written");
    let opened = bench.open();
    assert_eq!(opened.shown.issuer, own);
    assert!(matches!(opened.refused, Some(CertificateError::Refused(Refusal::NoCertificate))));
}

#[test]
fn an_installed_certificate_warns_before_its_end_and_is_shown_after_it() {
    let bench = Bench::new();
    let after = |days: i64| bench.all.expiry(Some(NOW_S + days * DAY_S));
    assert_eq!(after(9_999), None, "the own one is made anew by itself");
    bench.all.request(&["rack-7.example.org".to_owned()], "").expect("made");
    bench.all.try_out(&bench.sent(), Nanos(0), Some(NOW_S)).expect("taken");
    bench.all.keep(Nanos(1)).expect("kept");
    assert_eq!(bench.all.expiry(None), None, "nobody knows the time");
    for (days, wanted) in [
        (0, None),
        (334, None),
        (335, Some(Severity::Warning)),
        (357, Some(Severity::Warning)),
        (358, Some(Severity::Alarm)),
        (400, Some(Severity::Alarm)),
    ] {
        assert_eq!(after(days), wanted, "after {days} days");
    }
    let late = bench.all.open("rack-7", (NOW_S + 400 * DAY_S) as u64 * 1_000).expect("opened");
    assert_eq!(late.shown.issuer, "Between", "expired, and still what people know");
}
