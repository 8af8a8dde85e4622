import { autocompletion, closeBrackets, closeBracketsKeymap, completeFromList, completionKeymap } from "@codemirror/autocomplete";
import { PostgreSQL, sql } from "@codemirror/lang-sql";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, lineNumbers, placeholder as placeholderText } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { minimalSetup } from "codemirror";
import { useEffect, useRef } from "react";
import type { Stream } from "../api/types";
import { namespace, SNIPPETS } from "./completion";

interface Props {
  label: string;
  value: string;
  onChange: (text: string) => void;
  /** Ctrl/⌘ + Enter. */
  onRun: () => void;
  streams: readonly Stream[];
  placeholder?: string;
  minHeight?: number;
}

const COLORS = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--color-accent)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--color-solar)" },
  { tag: tags.number, color: "var(--color-grid)" },
  { tag: [tags.comment, tags.lineComment, tags.blockComment], color: "var(--color-mute)", fontStyle: "italic" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--color-load)" },
]);

const LOOK = EditorView.theme({
  "&": { fontSize: "12.5px", backgroundColor: "transparent", color: "var(--color-ink)" },
  "&.cm-focused": { outline: "2px solid var(--color-accent)", outlineOffset: "-2px", borderRadius: "0 0 11px 11px" },
  ".cm-scroller": { fontFamily: "var(--font-mono)", lineHeight: "1.65" },
  ".cm-content": { padding: "14px 0", caretColor: "var(--color-accent)" },
  ".cm-line": { padding: "0 16px 0 6px" },
  ".cm-gutters": { backgroundColor: "transparent", border: "none", color: "var(--color-mute)", paddingLeft: "8px" },
  ".cm-cursor": { borderLeftColor: "var(--color-accent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in oklch, var(--color-accent) 28%, transparent)",
  },
  ".cm-placeholder": { color: "var(--color-mute)" },
  ".cm-tooltip": {
    backgroundColor: "var(--color-panel)",
    border: "1px solid var(--color-line)",
    borderRadius: "8px",
    overflow: "hidden",
    color: "var(--color-ink)",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "var(--font-sans)", fontSize: "13px", maxHeight: "260px" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "4px 10px", lineHeight: "1.4" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--color-raised)", color: "var(--color-ink)" },
  ".cm-completionDetail": { color: "var(--color-mute)", fontStyle: "normal", marginLeft: "12px" },
  ".cm-completionMatchedText": { textDecoration: "none", color: "var(--color-accent)" },
});

function language(streams: readonly Stream[]) {
  const support = sql({ dialect: PostgreSQL, schema: namespace(streams), upperCaseKeywords: true });
  return [support, support.language.data.of({ autocomplete: completeFromList(SNIPPETS) })];
}

/** SQL with completion from the person's own streams. Tab leaves the editor, as everywhere on the page. */
export function SqlEditor({ label, value, onChange, onRun, streams, placeholder, minHeight = 150 }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const languages = useRef(new Compartment());
  const latest = useRef({ onChange, onRun, value });
  latest.current = { onChange, onRun, value };

  useEffect(() => {
    if (!box.current) return;
    const run = Prec.highest(
      keymap.of([
        {
          key: "Mod-Enter",
          run: () => {
            latest.current.onRun();
            return true;
          },
        },
      ]),
    );
    const editor = new EditorView({
      parent: box.current,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          run,
          minimalSetup,
          lineNumbers(),
          closeBrackets(),
          autocompletion({ icons: false }),
          keymap.of([...closeBracketsKeymap, ...completionKeymap]),
          languages.current.of(language([])),
          syntaxHighlighting(COLORS),
          LOOK,
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false" }),
          placeholder ? placeholderText(placeholder) : [],
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, [label, placeholder]);

  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);

  const known = streams.map((stream) => `${stream.name}@${stream.schema_version}`).join();
  useEffect(() => {
    view.current?.dispatch({ effects: languages.current.reconfigure(language(streams)) });
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `known` says when the names have changed
  }, [known]);

  return <div ref={box} className="max-h-[50vh] overflow-auto" style={{ minHeight }} />;
}
