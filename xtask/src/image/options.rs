//! Options of a program that is configured by Kconfig (Linux, U-Boot): what
//! the tree asks for, and whether it was kept. Kconfig drops an option whose
//! needs are not met without a word, and brings back what another one selects.

/// The configuration `made` with what is `wanted` in the place of what it says
/// of the same options.
pub fn merge(made: &str, wanted: &str) -> String {
    let of = |line: &str| option(line).map(str::to_owned);
    let ours: Vec<String> = wanted.lines().filter_map(of).collect();
    let theirs = |line: &&str| option(line).is_none_or(|name| !ours.iter().any(|our| our == name));
    let kept: Vec<&str> = made.lines().filter(theirs).chain(wanted.lines()).collect();
    kept.join("\n") + "\n"
}

/// The option that a line is about.
fn option(line: &str) -> Option<&str> {
    let line = line.trim();
    match line.strip_prefix("# ").and_then(|line| line.strip_suffix(" is not set")) {
        Some(name) => Some(name),
        None => line.starts_with("CONFIG_").then(|| line.split('=').next())?,
    }
}

/// That the configuration `made` says what `wanted` asks for, by the name of
/// each option that it does not.
pub fn check(wanted: &str, made: &str) -> Result<(), String> {
    let made: Vec<&str> = made.lines().map(str::trim).collect();
    let mut wrong = Vec::new();
    for line in wanted.lines().map(str::trim) {
        let Some(name) = option(line) else { continue };
        if line.starts_with('#') {
            if made.iter().any(|row| !row.starts_with('#') && option(row) == Some(name)) {
                wrong.push(format!("{name} was brought back"));
            }
        } else if !made.contains(&line) {
            wrong.push(format!("{name} was dropped"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_ours() {
        let made = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_AB=\"x\"\n# Why.\n";
        let wanted = "# CONFIG_A is not set\n# CONFIG_B is set below\nCONFIG_B=y\n";
        let merged = "CONFIG_AB=\"x\"\n# Why.\n".to_owned() + wanted;
        assert_eq!(merge(made, wanted), merged);
    }

    #[test]
    fn what_was_dropped_or_brought_back_is_named() {
        let wanted =
            "# Says why.\nCONFIG_FIT=y\nCONFIG_LSM=\"landlock\"\n\n# CONFIG_NET is not set\n";
        let made =
            "CONFIG_FIT=y\nCONFIG_LSM=\"landlock\"\n# CONFIG_NET is not set\nCONFIG_NETDEV=y\n";
        assert_eq!(check(wanted, made), Ok(()));
        assert_eq!(check(wanted, &made.replace("# CONFIG_NET is not set\n", "")), Ok(()));
        let dropped = check(wanted, &made.replace("CONFIG_FIT=y", "# CONFIG_FIT is not set"));
        assert_eq!(dropped, Err("CONFIG_FIT was dropped".to_owned()));
        let other = check(wanted, &made.replace("\"landlock\"", "\"\""));
        assert_eq!(other, Err("CONFIG_LSM was dropped".to_owned()));
        let back = check(wanted, &made.replace("# CONFIG_NET is not set", "CONFIG_NET=m"));
        assert_eq!(back, Err("CONFIG_NET was brought back".to_owned()));
    }
}
