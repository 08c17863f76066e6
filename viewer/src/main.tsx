import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Budget } from "./budget";
import { Compare } from "./compare";
import { Index, headline, prepared, readIndex, unpack } from "./data";
import { Live } from "./live";
import { Overview } from "./overview";
import { Dot } from "./parts";
import { ProblemPage } from "./problem";
import { Problems } from "./problems";
import { FILTERED, go, href, useRoute } from "./route";
import { Study } from "./study";
import { Tests } from "./tests";

type View = [key: string, label: string, view: any];
const VIEWS: View[] = [["live", "Live", Live], ["overview", "Overview", Overview], ["budget", "Budget", Budget], ["problems", "Problems", Problems], ["compare", "Compare", Compare], ["tests", "Tests", Tests]];
const KEYS: [string, string][] = [["1 … 6", "the views, from the left"], ["/", "search problems"], ["[ ]", "previous or next run"], ["j k", "next or previous problem of the list"], ["↑ ↓ ← →", "move in the matrix; Home and End too"], ["Enter", "from the matrix to reason and code"], ["Esc", "back to the list"], ["?", "this list"]];

function App({ first }: { first: Index }) {
  const route = useRoute(), help = useRef<HTMLDialogElement>(null), [index, setIndex] = useState(first);
  const runs = index.runs, view = route.view === "overview" && !runs.length ? "live" : route.view;
  const run = runs.find((r) => r.name === route.q.get("run")) ?? (runs.length ? runs.reduce((a, b) => ((headline(b) ?? 0) > (headline(a) ?? 0) ? b : a)) : undefined);
  const views = VIEWS.filter(([key]) => (key === "live" ? !!index.going : runs.length > (key === "compare" ? 1 : 0)));
  const keep = [...FILTERED, "c", "t", "x"];
  const refresh = () => fetch(`${index.live}/index`).then((answer) => answer.text()).then(unpack).then((found) => setIndex(prepared({ ...found, live: index.live, title: index.title })));
  useEffect(() => {
    const on = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey) return;
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test((e.target as Element).tagName);
      if (e.key === "Escape") {
        if (typing) (e.target as HTMLElement).blur();
        else if (view === "problem" && !help.current!.open) go(href(route, { view: "problems", keep: FILTERED }));
        return;
      }
      if (typing) return;
      const step = (n: number) => run && go(href(route, { keep, set: { run: runs[(run.i + n + runs.length) % runs.length].name } }));
      if (e.key === "/") {
        if (view !== "problems") go(href(route, { view: "problems" }));
        setTimeout(() => document.getElementById("search")?.focus(), 30);
      } else if (views[+e.key - 1]) go(href(route, { view: views[+e.key - 1][0] }));
      else if (e.key === "[") step(-1);
      else if (e.key === "]") step(1);
      else if (e.key === "j") document.getElementById("next")?.click();
      else if (e.key === "k") document.getElementById("prev")?.click();
      else if (e.key === "?") help.current!.showModal();
      else return;
      e.preventDefault();
    };
    addEventListener("keydown", on);
    return () => removeEventListener("keydown", on);
  });
  useEffect(() => {
    scrollTo(0, 0);
    document.title = `${route.id || VIEWS.find(([k]) => k === view)?.[1] || ""} · testbudget`;
  }, [view, route.id]);
  const Shown = view === "problem" ? ProblemPage : (views.find(([key]) => key === view)?.[2] ?? views[0]?.[2]);
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById("main")!.focus(); }}>Skip to content</a>
      <header class="top">
        <a class="brand" href={href(route, { view: "overview" })}>testbudget</a>
        <nav aria-label="Views" tabIndex={0}>{views.map(([key, label]) => <a href={href(route, { view: key })} aria-current={key === view || (key === "problems" && view === "problem") ? "page" : undefined}>{label}</a>)}</nav>
        {runs.length > 1 && <div class="runs" role="group" aria-label="Run" tabIndex={0}>{runs.map((r) => <a class={r === run ? "on" : ""} aria-current={r === run ? "true" : undefined} href={href(route, { keep, set: { run: r.name } })}><Dot run={r} />{r.name}</a>)}</div>}
        <button type="button" class="help" aria-label="Keys" onClick={() => help.current!.showModal()}>?</button>
      </header>
      <main id="main" tabIndex={-1}>{Shown && (run || view === "live" || !runs.length) ? <Shown index={index} run={run} route={route} refresh={refresh} /> : <p class="empty">Nothing to show.</p>}</main>
      <dialog ref={help} aria-label="Keys"><h2>Keys</h2><table><tbody>{KEYS.map(([key, say]) => <tr><th scope="row"><kbd>{key}</kbd></th><td>{say}</td></tr>)}</tbody></table><form method="dialog"><button>Close</button></form></dialog>
    </>
  );
}

const app = document.getElementById("app")!;
readIndex().then(
  (index) => {
    app.replaceChildren();
    render(index.kind === "runs" ? <App first={index} /> : <Study study={index} />, app);
    requestAnimationFrame(() => requestAnimationFrame(() => { performance.mark("painted"); document.body.dataset.ready = "1"; }));
  },
  (error) => { app.textContent = String(error.message ?? error); },
);
