// Code with line numbers and colours. What could hide text (bidirectional controls and the like) is shown by number.
import hljs from "highlight.js/lib/core";
import cpp from "highlight.js/lib/languages/cpp";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import typescript from "highlight.js/lib/languages/typescript";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

for (const [name, grammar] of Object.entries({ python, javascript, typescript, cpp, java, go, rust })) hljs.registerLanguage(name, grammar);
const GRAMMARS: Record<string, string> = { c: "cpp" };
const MOST_HIGHLIGHTED = 30_000; // characters; a longer text is shown without colours

// A pair of surrogates is one character and stays; half of one has no picture.
export const visible = (text: string) => text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/g, (c) => (c.length > 1 ? c : `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`));
const escaped = (text: string) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// A string or comment of several lines is one element: it is closed at the end of each line and opened again.
function perLine(html: string): string[] {
  const open: string[] = [];
  return html.split("\n").map((line) => {
    const before = open.join("");
    for (const [tag] of line.matchAll(/<span[^>]*>|<\/span>/g)) tag === "</span>" ? open.pop() : open.push(tag);
    return before + line + "</span>".repeat(open.length);
  });
}

const cache = new Map<string, string[]>();
function linesOf(text: string, language: string): string[] {
  const key = `${language} ${text}`;
  if (!cache.has(key)) {
    const shown = visible(text.trimEnd()), grammar = GRAMMARS[language] ?? language;
    cache.set(key, perLine(hljs.getLanguage(grammar) && shown.length < MOST_HIGHLIGHTED ? hljs.highlight(shown, { language: grammar }).value : escaped(shown)));
  }
  return cache.get(key)!;
}

type Props = { text: string; language: string; label: string; skip?: string; mark?: number };
export function Code({ text, language, label, skip, mark }: Props) {
  const lines = useMemo(() => linesOf(text, language), [text, language]), box = useRef<HTMLPreElement>(null);
  const given = skip && text.startsWith(skip) ? skip.trimEnd().split("\n").length : 0, [open, set] = useState(false), from = given > 4 && !open ? given : 0;
  useEffect(() => {
    const line = box.current?.querySelector<HTMLElement>(".at");
    if (line) box.current!.scrollTop = Math.max(0, line.offsetTop - box.current!.clientHeight / 2);
  }, [mark, text]);
  return (
    <pre class="code" tabIndex={0} role="region" aria-label={label} ref={box} dir="ltr">
      {from > 0 && <button type="button" onClick={() => set(true)}>… {from} lines of the problem's text</button>}
      <code style={{ counterReset: `line ${from}` }} dangerouslySetInnerHTML={{ __html: lines.slice(from).map((l, k) => `<span class="${mark === from + k + 1 ? "l at" : "l"}">${l || " "}</span>`).join("") }} />
    </pre>
  );
}

// Two programs, line by line: removed and added lines by the longest common subsequence.
export function Difference({ before, after, label }: { before: string; after: string; label: string }) {
  const rows = useMemo(() => difference(before.trimEnd().split("\n"), after.trimEnd().split("\n")), [before, after]);
  return <pre class="code diff" tabIndex={0} role="region" aria-label={label} dir="ltr"><code>{rows.map(([kind, line]) => <span class={`l ${kind === "+" ? "added" : kind === "-" ? "removed" : ""}`}><b aria-hidden="true">{kind}</b>{kind !== " " && <span class="sr">{kind === "+" ? "only there: " : "only in the pick: "}</span>}{visible(line) || " "}</span>)}</code></pre>;
}

const MOST_COMPARED = 1500; // lines
function difference(a: string[], b: string[]): [string, string][] {
  if (a.length > MOST_COMPARED || b.length > MOST_COMPARED) return [[" ", "These programs are too long to compare line by line."]];
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
  const rows: [string, string][] = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { rows.push([" ", a[i]]); i++; j++; }
    else if (j >= b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) rows.push(["-", a[i++]]);
    else rows.push(["+", b[j++]]);
  }
  return rows;
}
