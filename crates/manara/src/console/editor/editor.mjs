// The editor of rules: makes the page's text area an editor with live diagnostics and completion.
//
// Without this script the page works as a form. With it, the text still leaves the page in that form:
// the editor writes it back before the form is sent. All of it lives in a shadow root, so that its
// styles are constructed sheets and the page's policy needs no exception for styles.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, snippet } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { HighlightStyle, StreamLanguage, bracketMatching, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, linter, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";

/** How long after the last key the server is asked, in milliseconds. */
const PAUSE_MS = 350;

const KEYWORDS = new Set("rule test on mode policy reason when then expect nothing verdict no match members at and or not in".split(" "));
const ROOTS = new Set("event account space content media attributes received_at".split(" "));
const CALLS = new Set("bank has duration timestamp remove restrict label suspend strike enqueue".split(" "));
const ATOMS = new Set(["true", "false", "null", "live", "shadow"]);

const language = StreamLanguage.define({
  name: "rules",
  startState: () => ({ until: null, dot: false }),
  copyState: (state) => ({ ...state }),
  languageData: { commentTokens: { line: "//" }, closeBrackets: { brackets: ["(", "[", "{", '"'] } },
  token(stream, state) {
    if (state.until) return inLongText(stream, state);
    if (stream.eatSpace()) return null;
    const afterDot = state.dot;
    state.dot = false;
    if (stream.match("//")) {
      stream.skipToEnd();
      return "comment";
    }
    if (stream.match(/^r?("""|''')/)) {
      state.until = stream.current().slice(-3);
      return inLongText(stream, state);
    }
    if (stream.match(/^r("[^"]*"?|'[^']*'?)/)) return "string";
    if (stream.match(/^("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)/)) return "string";
    if (stream.match(/^\d[\w.]*/)) return "number";
    if (stream.match(/^[A-Za-z_]\w*/)) return wordKind(stream.current(), afterDot);
    if (stream.eat(".")) {
      state.dot = true;
      return null;
    }
    if (stream.match(/^[=<>!&|+\-*/%?:]+/)) return "operator";
    stream.next();
    return null;
  },
});

function inLongText(stream, state) {
  while (!stream.eol()) {
    if (stream.match(state.until)) {
      state.until = null;
      break;
    }
    stream.next();
  }
  return "string";
}

function wordKind(word, afterDot) {
  if (afterDot) return "propertyName";
  if (KEYWORDS.has(word)) return "keyword";
  if (ROOTS.has(word)) return "typeName";
  if (CALLS.has(word)) return "macroName";
  return ATOMS.has(word) ? "atom" : "variableName";
}

const colours = HighlightStyle.define([
  { tag: tags.comment, color: "var(--soft)", fontStyle: "italic" },
  { tag: tags.string, color: "var(--good)" },
  { tag: [tags.number, tags.atom], color: "var(--warn)" },
  { tag: tags.keyword, color: "var(--accent-strong)", fontWeight: "650" },
  { tag: tags.macroName, color: "var(--accent)", fontWeight: "600" },
  { tag: tags.typeName, color: "var(--accent)" },
]);

// The page's own colours reach into the shadow root, light and dark.
const look = EditorView.theme({
  "&": { border: "1px solid var(--edge)", borderRadius: "var(--radius-small)", background: "var(--surface)", color: "var(--ink)", fontSize: ".88rem" },
  "&.cm-focused": { outline: "3px solid var(--accent)", outlineOffset: "1px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.6", minHeight: "22rem", maxHeight: "70vh" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-specialChar": { color: "var(--stop)", background: "var(--stop-wash)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { background: "var(--sunken)", color: "var(--soft)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine": { background: "transparent" },
  ".cm-activeLineGutter": { background: "var(--accent-wash)", color: "var(--accent-strong)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { background: "var(--accent-wash)" },
  ".cm-selectionMatch": { background: "var(--sunken)" },
  "&.cm-focused .cm-matchingBracket": { background: "var(--accent-wash)", outline: "1px solid var(--accent)" },
  "&.cm-focused .cm-nonmatchingBracket": { background: "var(--stop-wash)" },
  ".cm-tooltip": { border: "1px solid var(--edge)", borderRadius: "var(--radius-small)", background: "var(--surface)", color: "var(--ink)", maxWidth: "34rem" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--accent)", color: "var(--on-accent)" },
  ".cm-completionDetail": { color: "inherit", opacity: "1", fontStyle: "normal", fontSize: ".9em" },
  ".cm-completionInfo": { padding: ".4rem .6rem" },
  // CodeMirror draws these with pictures in the address, which the page's policy refuses.
  ".cm-lintRange": { backgroundImage: "none" },
  ".cm-lintRange-error": { textDecoration: "underline wavy var(--stop)" },
  ".cm-lintRange-warning": { textDecoration: "underline wavy var(--warn)" },
  ".cm-lintRange-active": { background: "var(--warn-wash)" },
  ".cm-lint-marker": { content: "''", borderRadius: "50%", width: ".7em", height: ".7em", marginBlockStart: ".35em" },
  ".cm-lint-marker-error": { background: "var(--stop)" },
  ".cm-lint-marker-warning": { background: "var(--warn)", borderRadius: "2px" },
  ".cm-lint-marker-info": { background: "var(--accent)" },
  ".cm-diagnostic": { padding: ".35rem .6rem", whiteSpace: "pre-wrap" },
  ".cm-diagnostic-error": { borderLeft: "4px solid var(--stop)" },
  ".cm-diagnostic-warning": { borderLeft: "4px solid var(--warn)" },
  ".cm-panels": { background: "var(--sunken)", color: "var(--ink)" },
  ".cm-panels input, .cm-panels button": { background: "var(--surface)", backgroundImage: "none", color: "var(--ink)", border: "1px solid var(--edge)", borderRadius: "4px" },
  ".cm-panels.cm-panels-bottom": { borderTop: "1px solid var(--line)" },
  ".cm-panel.cm-panel-lint ul [aria-selected]": { background: "var(--accent-wash)" },
  ".cm-panel.cm-panel-lint ul:focus [aria-selected]": { background: "var(--accent-wash)", color: "var(--ink)" },
  ".cm-searchMatch": { background: "var(--mark)", color: "var(--mark-ink)" },
});

const form = document.getElementById("edit");
const area = document.getElementById("text");
if (form && area) start(form, area);

function start(form, area) {
  const file = form.dataset.file;
  const csrf = form.elements.csrf.value;
  const ask = async (path, more) => {
    const body = new URLSearchParams({ csrf, file, ...more });
    const answer = await fetch(path, { method: "POST", body });
    if (answer.ok) return answer.json();
    const why = {
      401: "Your session has ended. Copy your text, log in again in another tab, and put it in there.",
      403: "This page belongs to an earlier login. Copy your text, open the page again, and put it in there.",
      413: "The text is larger than 1 MiB: split the file.",
    };
    throw new Error(why[answer.status] ?? "The server does not answer. Your text is still here; nothing is lost.");
  };

  let dirty = false;
  let asked = 0;
  let waiting;
  const view = new EditorView({
    state: EditorState.create({
      doc: area.value,
      extensions: [
        lineNumbers(),
        lintGutter(),
        highlightActiveLineGutter(),
        highlightActiveLine(),
        // A character that nobody sees must not make a rule say something else than it seems to.
        highlightSpecialChars({ addSpecialChars: /[\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200d\u2028-\u202e\u2060-\u206f\u3164\uffa0]/g }),
        drawSelection(),
        history(),
        bracketMatching(),
        closeBrackets(),
        indentUnit.of("  "),
        language,
        syntaxHighlighting(colours),
        linter(null),
        highlightSelectionMatches(),
        autocompletion({ override: [(context) => suggest(context, ask)], icons: false }),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...searchKeymap, ...historyKeymap, ...lintKeymap, ...defaultKeymap, indentWithTab]),
        look,
        EditorView.contentAttributes.of({
          "aria-label": `Rules and tests of ${file}. Escape, then Tab, leaves the editor.`,
          dir: "ltr",
          tabindex: "0",
        }),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          dirty = true;
          clearTimeout(waiting);
          waiting = setTimeout(check, PAUSE_MS);
        }),
      ],
    }),
    ...mount(area),
  });

  const text = () => view.state.doc.toString();
  const jump = (at) => {
    const to = Math.min(at, view.state.doc.length);
    view.dispatch({ selection: { anchor: to }, effects: EditorView.scrollIntoView(to, { y: "center" }) });
    view.focus();
  };
  const mark = (found) => {
    const end = view.state.doc.length;
    const marks = found.map((it) => ({
      from: Math.min(it.from, end),
      to: Math.min(it.to, end),
      severity: it.severity,
      message: it.hint ? `${it.message}\nHint: ${it.hint}` : it.message,
    }));
    view.dispatch(setDiagnostics(view.state, marks));
  };

  async function check() {
    const turn = ++asked;
    try {
      const answer = await ask("/rules/check", { text: text() });
      // The text has changed since, and a newer question is on its way.
      if (turn !== asked) return;
      mark(answer.diagnostics);
      showFound(answer, jump);
    } catch (error) {
      showTrouble("found", error);
    }
  }

  document.getElementById("run")?.addEventListener("click", async (event) => {
    event.preventDefault();
    const button = event.currentTarget;
    button.disabled = true;
    try {
      showTests(await ask("/rules/test", { text: text() }), view, jump);
    } catch (error) {
      showTrouble("tests", error);
    }
    button.disabled = false;
    await check();
  });
  form.addEventListener("submit", () => {
    area.value = text();
    dirty = false;
  });
  addEventListener("beforeunload", (event) => {
    if (dirty) event.preventDefault();
  });
  document.getElementById("text-label").addEventListener("click", () => view.focus());
  document.getElementById("text-hint").hidden = false;

  mark(JSON.parse(area.dataset.diagnostics || "[]"));
  const line = Number(form.dataset.line);
  if (line >= 1) jump(view.state.doc.line(Math.min(line, view.state.doc.lines)).from);
}

/** Puts the editor's place beside the text area, which goes on carrying the text. */
function mount(area) {
  const host = document.createElement("div");
  host.className = "editor";
  area.after(host);
  area.hidden = true;
  const root = host.attachShadow({ mode: "open" });
  return { root, parent: root };
}

async function suggest(context, ask) {
  const typed = context.matchBefore(/[\w.]+$|"[\w]*$/);
  if (!context.explicit && !typed) return null;
  try {
    const answer = await ask("/rules/complete", { text: context.state.doc.toString(), offset: String(context.pos) });
    if (context.aborted || answer.items.length === 0) return null;
    const options = answer.items.map((it, at) => ({
      label: it.label,
      type: it.kind,
      detail: it.detail,
      info: it.doc ? () => described(it.doc) : undefined,
      apply: it.insert === it.plain ? it.plain : snippet(it.insert),
      // The server's order, which knows the place.
      boost: Math.max(-99, 99 - at),
    }));
    return { from: answer.from, to: Math.max(answer.to, context.pos), options, validFor: /^\w*$/ };
  } catch {
    // Completion is a convenience: what is wrong is said by the next check.
    return null;
  }
}

/** What a completion says of itself, in as much of Markdown as it is written in: code between backticks. */
function described(doc) {
  const made = element("div");
  doc.split("`").forEach((part, at) => made.append(at % 2 ? element("code", "", part) : part));
  return made;
}

function element(name, className, words) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (words !== undefined) made.textContent = words;
  return made;
}

function place(words, go) {
  const button = element("button", "slim", words);
  button.type = "button";
  button.addEventListener("click", go);
  return button;
}

function list(rows) {
  const made = element("ul", "found");
  for (const parts of rows) {
    const row = element("li");
    for (const part of parts.filter(Boolean)) row.append(part, " ");
    made.append(row);
  }
  return made;
}

function showFound(answer, jump) {
  const here = answer.diagnostics.slice(0, 100).map((it) => [
    element("span", `chip ${it.severity === "error" ? "stop" : "warn"}`, it.severity),
    it.message,
    it.hint && element("span", "hint", `Hint: ${it.hint}`),
    place(`line ${it.line}`, () => jump(it.from)),
  ]);
  const elsewhere = answer.elsewhere.map((it) => [element("span", "chip stop", "other file"), it]);
  const rows = [...here, ...elsewhere];
  const parts = rows.length > 0 ? [list(rows)] : [];
  if (answer.goes_live) parts.push(element("p", "notice warn", answer.goes_live));
  document.getElementById("found").replaceChildren(...parts);
}

function showTests(answer, view, jump) {
  const summary = element("p");
  summary.append(element("b", "", answer.summary));
  const rows = answer.tests.map((it) => [
    element("span", `chip ${it.passed ? "good" : "stop"}`, it.passed ? "passed" : "failed"),
    it.name,
    place(`line ${it.line}`, () => jump(view.state.doc.line(Math.min(it.line, view.state.doc.lines)).from)),
    it.detail && element("pre", "", it.detail),
  ]);
  document.getElementById("tests").replaceChildren(summary, list(rows));
}

function showTrouble(where, error) {
  document.getElementById(where).replaceChildren(element("p", "notice stop", error.message));
}
