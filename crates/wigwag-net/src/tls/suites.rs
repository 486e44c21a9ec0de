//! Cipher suites by the names that OpenSSL gives them, as far as rustls has them.
//!
//! OpenSSL's lists also hold words for groups and things to leave out. The groups that mean "what is good"
//! mean all suites here; whatever names something that rustls does not have is reported.

use tokio_rustls::rustls::SupportedCipherSuite;
use tokio_rustls::rustls::crypto::aws_lc_rs::cipher_suite as have;

/// Suites of TLS 1.2.
const TLS_1_2: [(&str, SupportedCipherSuite); 6] = [
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        have::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        have::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        have::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        have::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        have::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        have::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Suites of TLS 1.3.
const TLS_1_3: [(&str, SupportedCipherSuite); 3] = [
    ("TLS_AES_256_GCM_SHA384", have::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", have::TLS13_AES_128_GCM_SHA256),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        have::TLS13_CHACHA20_POLY1305_SHA256,
    ),
];

/// Words for groups, and what the names of their suites of TLS 1.2 contain.
const GROUPS: &[(&str, &str)] = &[
    ("ALL", ""),
    ("DEFAULT", ""),
    ("HIGH", ""),
    ("ECDHE", ""),
    ("EECDH", ""),
    ("kECDHE", ""),
    ("kEECDH", ""),
    ("TLSv1.2", ""),
    ("AESGCM", "GCM"),
    ("AES", "AES"),
    ("AES128", "AES128"),
    ("AES256", "AES256"),
    ("CHACHA20", "CHACHA20"),
    ("aRSA", "-RSA-"),
    ("aECDSA", "-ECDSA-"),
    ("ECDSA", "-ECDSA-"),
];

/// What a list of names gives.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// In the order of the list.
    pub(super) suites: Vec<SupportedCipherSuite>,
    /// Names for which there is nothing.
    pub(super) missing: Vec<String>,
}

/// The suites of TLS 1.2 in an OpenSSL cipher list; all of them without a list.
pub(super) fn tls_1_2(list: Option<&str>) -> Chosen {
    let Some(list) = list else {
        return all(&TLS_1_2);
    };
    let mut chosen = Chosen::default();
    for word in list
        .split([':', ',', ' ', ';'])
        .filter(|word| !word.is_empty())
    {
        // The order is the client's or the list's; strength has no other here.
        if word.starts_with('@') {
            continue;
        }
        if let Some(unwanted) = word.strip_prefix(['!', '-']) {
            // To leave out what is not there needs no word.
            let unwanted = matching(unwanted);
            chosen.suites.retain(|suite| !unwanted.contains(suite));
            continue;
        }
        let found = matching(word.trim_start_matches('+'));
        if found.is_empty() {
            chosen.missing.push(word.to_owned());
        }
        for suite in found {
            if !chosen.suites.contains(&suite) {
                chosen.suites.push(suite);
            }
        }
    }
    chosen
}

/// The suites of TLS 1.3 in a list of names; all of them without a list.
pub(super) fn tls_1_3(list: Option<&str>) -> Chosen {
    let Some(list) = list else {
        return all(&TLS_1_3);
    };
    let mut chosen = Chosen::default();
    for word in list.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
        match TLS_1_3.iter().find(|(name, _)| *name == word) {
            Some((_, suite)) => chosen.suites.push(*suite),
            None => chosen.missing.push(word.to_owned()),
        }
    }
    chosen
}

fn all(table: &[(&str, SupportedCipherSuite)]) -> Chosen {
    Chosen {
        suites: table.iter().map(|(_, suite)| *suite).collect(),
        missing: Vec::new(),
    }
}

/// The suites that have all of the words joined by `+`.
fn matching(words: &str) -> Vec<SupportedCipherSuite> {
    let has = |name: &str, word: &str| {
        let group = GROUPS.iter().find(|(group, _)| *group == word);
        name == word || group.is_some_and(|(_, part)| name.contains(part))
    };
    TLS_1_2
        .iter()
        .filter(|(name, _)| words.split('+').all(|word| has(name, word)))
        .map(|(_, suite)| *suite)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &str) -> (Vec<&'static str>, Vec<String>) {
        let chosen = tls_1_2(Some(list));
        let name = |suite: &SupportedCipherSuite| {
            TLS_1_2
                .iter()
                .find(|(_, known)| known == suite)
                .map_or("", |(name, _)| *name)
        };
        (chosen.suites.iter().map(name).collect(), chosen.missing)
    }

    #[test]
    fn suites_keep_the_order_of_the_list() {
        let (suites, missing) = names("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384");
        assert_eq!(
            suites,
            [
                "ECDHE-RSA-AES128-GCM-SHA256",
                "ECDHE-ECDSA-AES256-GCM-SHA384"
            ]
        );
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn what_rustls_does_not_have_is_named() {
        let (suites, missing) =
            names("AES256-SHA:DHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305");
        assert_eq!(suites, ["ECDHE-RSA-CHACHA20-POLY1305"]);
        assert_eq!(missing, ["AES256-SHA", "DHE-RSA-AES256-GCM-SHA384"]);
        assert_eq!(
            tls_1_3(Some("TLS_AES_128_CCM_SHA256")).missing,
            ["TLS_AES_128_CCM_SHA256"]
        );
    }

    #[test]
    fn groups_are_added_cut_and_left_out() {
        assert_eq!(names("HIGH:!aNULL:!MD5:@STRENGTH").0.len(), 6);
        assert_eq!(
            names("DEFAULT:!CHACHA20:-aRSA").0,
            [
                "ECDHE-ECDSA-AES256-GCM-SHA384",
                "ECDHE-ECDSA-AES128-GCM-SHA256",
            ]
        );
        assert_eq!(
            names("EECDH+aRSA+AES256").0,
            ["ECDHE-RSA-AES256-GCM-SHA384"]
        );
    }
}
