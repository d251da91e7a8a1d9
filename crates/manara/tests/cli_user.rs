//! `manara user …`, as an operator types it.

mod cli_support;

use cli_support::Folder;
use serde_json::Value;

const PASSWORD: &[u8] = b"correct horse battery staple\n";

fn add(folder: &Folder, arguments: &[&str]) -> cli_support::Ran {
    let arguments = [&["user", "add", "--data", "d"], arguments].concat();
    folder.run_with(&arguments, PASSWORD)
}

#[test]
fn people_are_added_with_a_role() {
    let folder = Folder::new();
    for (arguments, role) in [
        (&["noor"][..], "reviewer"),
        (&["sam", "--role", "policy"], "policy"),
        (&["ada", "--role", "admin"], "admin"),
        (&["kim", "--admin"], "admin"),
    ] {
        add(&folder, arguments).expect(0, &["can log in"]);
        let list = folder
            .run(&["user", "list", "--data", "d", "--json"])
            .json();
        let login = arguments[0];
        let found = list.iter().find(|it| it["login"] == login).unwrap();
        assert_eq!(found["role"], Value::from(role), "{login}");
    }
    add(&folder, &["lee", "--role", "king"]).expect(2, &["use reviewer, policy or admin"]);
    add(&folder, &["lee", "--role", "policy", "--admin"]).expect(2, &["cannot be used with"]);
    add(&folder, &["sam", "--role", "admin"]).expect(2, &["there is a reviewer sam already"]);
}
