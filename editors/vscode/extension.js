// Starts `manara rules lsp` and lets it answer for every rule file.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

/** Called by the editor when the first rule file is opened. */
async function activate() {
  const settings = workspace.getConfiguration("manara");
  const data = settings.get("data");
  const server = {
    command: settings.get("path") || "manara",
    args: ["rules", "lsp", ...(data ? ["--data", data] : [])],
  };
  const selector = [
    { language: "manara-rules" },
    // The schema of a rule folder, so that its mistakes are shown as it is written.
    { scheme: "file", pattern: "**/schema.toml" },
  ];
  client = new LanguageClient("manara", "Manara rules", server, { documentSelector: selector });
  await client.start();
}

/** Called when the editor closes. */
function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
