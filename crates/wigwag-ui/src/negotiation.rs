//! The two request headers that choose between the forms of a file: `Accept-Encoding` and `If-None-Match`.
//! Only as much of RFC 9110 as static files need; a header that cannot be read counts as absent.

use axum::http::header::{ACCEPT_ENCODING, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// A compression in which the web build prepared files, the denser one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Brotli,
    Gzip,
}

impl Encoding {
    const ALL: [Self; 2] = [Self::Brotli, Self::Gzip];

    pub(crate) fn of_twin(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|encoding| name.ends_with(encoding.extension()))
    }

    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Gzip => ".gz",
        }
    }

    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.token())
    }

    fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

pub(crate) fn accepted_encodings(request: &HeaderMap) -> impl Iterator<Item = Encoding> {
    let accepted: Vec<String> = elements(request, &ACCEPT_ENCODING)
        .filter_map(accepted_token)
        .collect();
    Encoding::ALL
        .into_iter()
        .filter(move |encoding| accepted.iter().any(|token| token == encoding.token()))
}

/// Whether the client has this very form already. Weak comparison, as RFC 9110 13.1.2 asks for.
pub(crate) fn matches_etag(request: &HeaderMap, tag: &str) -> bool {
    elements(request, &IF_NONE_MATCH)
        .any(|element| element == "*" || element.trim_start_matches("W/") == tag)
}

/// The coding's name in lower case, or `None` when its weight is zero.
fn accepted_token(element: &str) -> Option<String> {
    let mut parts = element.split(';').map(str::trim);
    let token = parts.next()?.to_ascii_lowercase();
    let refused = parts
        .filter_map(|parameter| parameter.strip_prefix("q="))
        .any(|weight| {
            weight
                .trim()
                .parse::<f32>()
                .is_ok_and(|weight| weight == 0.0)
        });
    (!refused).then_some(token)
}

fn elements<'a>(request: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    request
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_encodings(header: &'static str, expect: &[Encoding]) {
        let mut request = HeaderMap::new();
        request.insert(ACCEPT_ENCODING, HeaderValue::from_static(header));
        assert_eq!(
            accepted_encodings(&request).collect::<Vec<_>>(),
            expect,
            "{header}"
        );
    }

    #[test]
    fn denser_encoding_is_preferred_and_zero_weight_refuses() {
        check_encodings("gzip, deflate, br", &[Encoding::Brotli, Encoding::Gzip]);
        check_encodings("GZIP;q=0.5", &[Encoding::Gzip]);
        check_encodings("br;q=0, gzip", &[Encoding::Gzip]);
        check_encodings("br; q=0.000", &[]);
        check_encodings("identity", &[]);
        check_encodings("", &[]);
    }

    #[test]
    fn etag_matches_in_a_list_weakly_and_by_star() {
        for (header, expect) in [
            ("\"a\"", true),
            ("\"b\", W/\"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            let mut request = HeaderMap::new();
            request.insert(IF_NONE_MATCH, HeaderValue::from_static(header));
            assert_eq!(matches_etag(&request, "\"a\""), expect, "{header}");
        }
    }
}
