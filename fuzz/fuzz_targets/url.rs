//! Any text: what is found in it is found again in its own bytes; addresses, prefixes, domains and
//! invitations are settled; an address lies under itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_signal::url::find_destinations;
use manara_signal::{CanonicalUrl, Domain, Invite, UrlPrefix};

fuzz_target!(|text: &str| {
    for found in find_destinations(text) {
        let part = text.get(found.original).expect("on the borders of characters");
        let again = find_destinations(part);
        assert!(again.iter().any(|a| a.what == found.what), "{part:?}");
    }
    if let Ok(url) = CanonicalUrl::parse(text) {
        let _ = (url.facts(), url.host_skeleton());
        let again = CanonicalUrl::parse(url.as_str()).expect("settled");
        assert_eq!(again.as_str(), url.as_str());
        if let Ok(prefix) = UrlPrefix::parse(url.as_str())
            && !url.as_str().ends_with('*')
        {
            assert!(prefix.matches(&url));
        }
    }
    if let Ok(prefix) = UrlPrefix::parse(text) {
        assert_eq!(UrlPrefix::parse(&prefix.to_string()), Ok(prefix));
    }
    if let Ok(domain) = Domain::parse(text) {
        assert_eq!(Domain::parse(domain.as_str()), Ok(domain));
    }
    if let Ok(invite) = Invite::parse(text) {
        assert_eq!(Invite::parse(&invite.to_string()), Ok(invite));
    }
});
