//! Versions of a package side by side: the host offers the newest of a track
//! (`0.1.x`, `1.x`), and the component model links plugins built for older ones
//! to it (facts/wasm-host.md §4.1). So what plugins import may gain, and lose
//! nothing; what they export stays as it is, because old ones lack what is new.

use super::listing::{Listing, sentence};
use std::collections::BTreeSet;

/// How packages in `newer` break plugins that were built for the same track in
/// `older`, a sentence each.
pub fn breaks(older: &Listing, newer: &Listing) -> Vec<String> {
    let (old, new) = (by_track(older), by_track(newer));
    let packages: BTreeSet<_> = new.lines().map(|(place, _)| place[0].clone()).collect();
    let exported: BTreeSet<String> = [&old, &new].iter().flat_map(|l| exports(l)).collect();
    let said = |place: &[String], words: String| sentence(&named(newer, place), &words);
    let mut broken = Vec::new();
    for (place, was) in old.lines().filter(|(place, _)| packages.contains(&place[0])) {
        match new.get(place) {
            None => broken.push(said(place, format!("`{was}` is gone"))),
            Some(is) if is != was => broken.push(said(place, format!("`{was}` became `{is}`"))),
            Some(_) => {}
        }
    }
    let has = |place: &[String]| old.get(place).is_some();
    for (place, line) in new.lines().filter(|(place, _)| !has(place)) {
        let [package, item, own] = place else { continue };
        let above = [package.clone(), item.clone()];
        let is_export = own.starts_with("export ") || exported.contains(&id(package, item));
        if is_export && has(&above) {
            broken.push(said(place, format!("`{line}` is new where plugins export")));
        }
    }
    broken
}

/// The same lines with tracks for versions: `@0.1.3` is `@0.1`, `@1.2.0` is `@1`.
fn by_track(listing: &Listing) -> Listing {
    let text = listing.to_string();
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split('@');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let is_version = |c: char| c.is_ascii_digit() || c == '.';
        let all = part.find(|c| !is_version(c)).unwrap_or(part.len());
        // The dot before a type's name is not of the version.
        let len = part[..all].trim_end_matches('.').len();
        let (version, rest) = part.split_at(len);
        let mut numbers = version.split('.');
        let (major, minor) = (numbers.next().unwrap_or("0"), numbers.next().unwrap_or("0"));
        out.push('@');
        out.push_str(major);
        if major == "0" {
            out.push('.');
            out.push_str(minor);
        }
        out.push_str(rest);
    }
    Listing::parse(&out)
}

/// Names of the interfaces that worlds export: `a:b/c@0.1`.
fn exports(listing: &Listing) -> Vec<String> {
    let heads = listing.lines().filter_map(|(place, _)| place.get(2));
    heads.filter_map(|head| head.strip_prefix("export ")).map(str::to_owned).collect()
}

/// `package a:b@0.1` and `interface c` are `a:b/c@0.1`.
fn id(package: &str, item: &str) -> String {
    let package = package.trim_start_matches("package ");
    let item = item.trim_start_matches("interface ");
    let (name, track) = package.split_once('@').unwrap_or((package, ""));
    format!("{name}/{item}@{track}")
}

/// The place with the package's version as `listing` has it.
fn named(listing: &Listing, place: &[String]) -> Vec<String> {
    let mut place = place.to_vec();
    let packages = listing.lines().map(|(place, _)| &place[0]);
    let found = packages.into_iter().find(|name| name.starts_with(&format!("{}.", place[0])));
    if let Some(name) = found {
        place[0].clone_from(name);
    }
    place
}
