//! Addresses that are almost canonical already, as most in texts are, read without the parser.

use super::{CanonicalUrl, LEN_MAX, is_tracking};

/// What the general parser would make of an address that is `http`, `https` or has no scheme, and
/// consists of nothing that it would change but letter case in the host and tracking parameters;
/// nothing for all other addresses.
pub(super) fn read(given: &str) -> Option<CanonicalUrl> {
    let (scheme, rest) = if let Some(rest) = given.strip_prefix("https://") {
        ("https://", rest)
    } else if let Some(rest) = given.strip_prefix("http://") {
        ("http://", rest)
    } else if given.contains(':') || given.starts_with('/') {
        return None;
    } else {
        ("https://", given)
    };
    let end = rest
        .bytes()
        .position(|b| b == b'/' || b == b'?')
        .unwrap_or(rest.len());
    let (host, tail) = rest.split_at_checked(end)?;
    if !is_plain_host(host) || !tail.bytes().all(is_plain) || tail.contains("/.") {
        return None;
    }
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    };
    let mut text = String::with_capacity(given.len() + scheme.len() + 1);
    text.push_str(scheme);
    text.extend(host.chars().map(|c| c.to_ascii_lowercase()));
    text.push_str(if path.is_empty() { "/" } else { path });
    let kept = query.unwrap_or_default().split('&');
    for (i, part) in kept
        .filter(|part| !part.is_empty() && !is_tracking(part))
        .enumerate()
    {
        text.push(if i == 0 { '?' } else { '&' });
        text.push_str(part);
    }
    if text.len() > LEN_MAX {
        return None;
    }
    CanonicalUrl::of_text(text, true, false)
}

/// Whether a host is a name of ASCII letters with a dot in it, that is no number and has no letters
/// beyond ASCII behind an `xn--`.
fn is_plain_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && label.as_bytes().get(2..4) != Some(b"--")
    };
    let Some((_, ending)) = host.rsplit_once('.') else {
        return false;
    };
    ending.starts_with(|c: char| c.is_ascii_alphabetic()) && host.split('.').all(label)
}

/// Whether a byte stays as it is in path and query.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~/?&=+!$*,;:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn the_parser_would_say_the_same(
            text in "(https?://|//|HTTP://|ftp:)?(www\\.|[a-z0-9]{0,2}--)?[a-zA-Z0-9é-]{1,3}(\\.[a-zA-Z0-9-]{0,2})?\\.(com|0x1|1|example)?(:80)?([/?][a-zA-Z0-9-._~/?&=+!$*,;:@'%|\\\\^\\[\\]#é]{0,12}|\\?(utm_a=b|a=b|FBCLID=x|&){0,4})?",
        ) {
            if let Some(plain) = read(&text) {
                let general = CanonicalUrl::parse_any(&text, 0).unwrap();
                prop_assert_eq!(plain.as_str(), general.as_str());
                prop_assert_eq!(plain.match_key(), general.match_key());
                prop_assert_eq!((plain.host_at, plain.user_info), (general.host_at, general.user_info));
            }
        }
    }

    #[test]
    fn plain_addresses_are_read_here() {
        for text in [
            "https://Example.com",
            "www.example.com/a?utm_x=1&b=2",
            "http://a.b.example/x/y.html",
        ] {
            assert!(read(text).is_some(), "{text}");
        }
        for text in [
            "https://example.com/../a",
            "example.com:80",
            "https://1.2.3.4/",
            "https://a@b.example/",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
