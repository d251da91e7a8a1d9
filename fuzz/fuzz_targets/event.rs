//! Any body: an event that is accepted is accepted again as it was understood, and is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manara_model::{Event, Origin};

fuzz_target!(|data: &[u8]| {
    if let Ok((event, _)) = Event::from_json(data, Origin::Http) {
        let again = serde_json::to_vec(&event).expect("an event is JSON");
        let (read, _) = Event::from_json(&again, Origin::Http).expect("it was accepted before");
        assert_eq!(read, event);
    }
});
